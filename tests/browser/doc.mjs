// The documentation page in a real browser: one walk of a reader; prints what was seen as JSON.
// Arguments: folder of node modules, JSON {url, chromium, profile, user, password}.
import { createRequire } from "node:module";
const require = createRequire(process.argv[2] + "/");
const { chromium } = require("playwright-core");
const { url, chromium: executablePath, profile, user, password } = JSON.parse(process.argv[3]);

const seen = { requests: [], faults: [] };
const context = await chromium.launchPersistentContext(profile, {
  executablePath, headless: true, ignoreHTTPSErrors: true, acceptDownloads: false,
  // Whatever is asked of the outside, by the page or by the browser, does not even have a name.
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
});
try {
  const page = context.pages()[0] ?? await context.newPage();
  page.setDefaultTimeout(20000);
  context.on("request", (request) => seen.requests.push(request.url()));
  page.on("pageerror", (error) => seen.faults.push(String(error)));
  // A refused call is said by the browser too; that is no fault of the page.
  page.on("console", (line) => {
    if (line.type() === "error" && !line.text().includes("the server responded with a status of")) seen.faults.push(line.text());
  });

  await page.goto(`${url}/doc`);
  const buttons = page.locator("#tree button");
  await buttons.first().waitFor();
  seen.operations = await buttons.count();
  seen.version = await page.locator("#version").textContent();

  const search = async (words) => {
    await page.fill("#search", words);
    return buttons.locator(".path").allTextContents();
  };
  seen.nothing = { found: await search("zebra crossing"), said: await page.locator("#tree").textContent() };
  seen.rollback = await search("rollback");
  seen.byParameter = await search("sample_count");
  seen.byTwoWords = await search("flows count");

  const answer = page.locator("#operation pre").nth(1);
  const open = async (path, verb) => {
    await search(path);
    await buttons.filter({ has: page.getByText(path, { exact: true }) }).filter({ hasText: verb }).first().click();
    await page.locator("#operation h2 .path", { hasText: path }).waitFor();
  };
  // What the answer says once it says more than that it is awaited.
  const attempt = async () => {
    await page.getByRole("button", { name: "Try it" }).click();
    await page.waitForFunction(() => /^\d\d\d /.test(document.querySelectorAll("#operation pre")[1].textContent));
    return { text: await answer.textContent(), bad: await answer.evaluate((one) => one.className) };
  };
  await open("/flows/sessions/count", "GET");
  seen.title = await page.locator("#operation h2").textContent();
  seen.stranger = await attempt();

  await page.locator("#login summary").click();
  await page.fill("#user", user);
  await page.fill("#secret", password);
  seen.answered = await attempt();
  await page.fill("[aria-label=relative_time]", "1h");
  await page.fill("[aria-label=filter]", "SRVPRT==1");
  seen.command = await page.locator("#operation pre").first().textContent();
  seen.mistaken = await attempt();
  await page.fill("[aria-label=filter]", "SRVPORT==443");
  seen.filtered = await attempt();

  // A call with a body, and its object in the path of the next one.
  await open("/access/roles", "POST");
  await page.fill("[aria-label=roleid]", "Reader");
  await page.fill("[aria-label=privs]", "Flows.Read");
  seen.created = await attempt();
  await open("/access/roles/{roleid}", "GET");
  await page.fill("[aria-label=roleid]", "Reader");
  seen.read = await attempt();

  seen.cookies = (await context.cookies()).length;
} finally {
  await context.close();
}
process.stdout.write(JSON.stringify(seen) + "\n");
