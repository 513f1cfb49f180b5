//! The box's certificate: what it says, another one, a signing request, a new self-signed one.
//!
//! A chain is refused for every reason at once: a browser would name one of them and nobody could get in to put it right.

use std::rc::Rc;

use serde_json::{Value, json};

use super::super::{Call, Failure, Outcome, World};
use super::change::{self, Changed, Outside, allowed, period, try_out};
use super::waits;
use crate::base::Time;
use crate::config::Tried;
use crate::config::versions::Change;
use crate::schema::{Fault, Problem};
use crate::wire::x509::{Certificate, Key};

/// Most certificates of a chain.
const LONGEST_CHAIN: usize = 8;
/// Fewest bits of an RSA key (NIST SP 800-57, part 1).
const LEAST_RSA: usize = 2_048;

/// `tls.get`
pub(super) fn get(call: &Call) -> Outcome {
    outside(call.world()).and_then(|outside| describe(call.world(), &*outside)).map(Outcome::Done).into()
}

/// `tls.set`
pub(super) fn set(call: &Call) -> Outcome {
    let use_it = |outside: &dyn Outside| {
        let (chain, key) = (call.text("certificate"), call.parameters["key"].as_str());
        let ders = pem(chain).map_err(|why| vec![fault("certificate", why)])?;
        let faults: Vec<Fault> = objections(&ders, call.now).into_iter().map(|o| fault("certificate", o)).collect();
        if faults.is_empty() {
            outside.use_certificate(key, chain).map_err(|why| vec![fault("key", why)])
        } else {
            Err(faults)
        }
    };
    change(call, use_it).into()
}

/// `tls.selfsigned`
pub(super) fn self_signed(call: &Call) -> Outcome {
    change(call, |outside| outside.use_self_signed().map_err(|why| vec![fault("", why)])).into()
}

/// `tls.csr`
pub(super) fn request(call: &Call) -> Outcome {
    let made = outside(call.world()).and_then(|outside| {
        let names: Vec<String> = call.parameters["names"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|n| Some(n.as_str()?.to_owned()))
            .collect();
        let made = outside.request(&names, call.parameters["common_name"].as_str());
        made.map_err(|why| Failure::Parameters(vec![fault("names", why)]))
    });
    let (request, work) = match made {
        Ok(made) => made,
        Err(failure) => return failure.into(),
    };
    let author = call.author();
    Outcome::Save {
        work,
        resume: Box::new(move |now, written| match written {
            Ok(()) => {
                author.changed(now, "config/certificate/request", &Value::Null, &json!("made"));
                Outcome::Done(json!({ "request": request }))
            }
            Err(error) => {
                log::error!("tls: the key of a signing request could not be written: {error}");
                change::not_written()
            }
        }),
    }
}

/// Uses another certificate: kept at once, or tried out.
fn change(call: &Call, use_it: impl FnOnce(&dyn Outside) -> Result<(), Vec<Fault>>) -> Result<Outcome, Failure> {
    let world = Rc::clone(call.world());
    let outside = outside(&world)?;
    allowed(call)?;
    let period = period(call, true)?;
    let fingerprint =
        |world: &World| describe(world, &*outside).map(|now| now["fingerprint"].clone()).unwrap_or_default();
    let before = fingerprint(&world);
    use_it(&*outside).map_err(Failure::Parameters)?;
    let (after, author) = (fingerprint(&world), call.author());
    log::info!("tls: certificate with SHA-256 fingerprint {} by {}", after.as_str().unwrap_or_default(), author.user);
    let show = {
        let (world, outside) = (Rc::clone(&world), Rc::clone(&outside));
        move || describe(&world, &*outside).map(Outcome::Done).into()
    };
    if let Some(period) = period {
        author.changed(call.now, "config/certificate", &before, &after);
        let change = Change { author: author.user.to_string(), comment: call.text("comment").to_owned() };
        let outcome = try_out(&world, author, call.now, change, Tried::Certificate, period, Changed::nothing());
        let Outcome::Save { work, resume } = outcome else { return Ok(outcome) };
        return Ok(Outcome::Save {
            work,
            resume: Box::new(move |now, written| match resume(now, written) {
                Outcome::Done(_) => show(),
                other => other,
            }),
        });
    }
    let work = world.book.borrow_mut().occupy(Some(outside.keep_certificate()));
    Ok(Outcome::Save {
        work,
        resume: Box::new(move |now, written| {
            world.book.borrow_mut().not_saved();
            if let Err(error) = written {
                log::error!("tls: the certificate could not be written, so the one before is used: {error}");
                if let Err(why) = outside.drop_certificate() {
                    log::error!("tls: {why}");
                }
                return change::not_written();
            }
            author.changed(now, "config/certificate", &before, &after);
            show()
        }),
    })
}

fn outside(world: &World) -> Result<Rc<dyn Outside>, Failure> {
    world.outside().ok_or_else(|| Failure::NotFound("There is no TLS here".to_owned()))
}

fn describe(world: &World, outside: &dyn Outside) -> Result<Value, Failure> {
    let chain = outside.certificates();
    let broken = |what: &str| Failure::Broken(format!("The certificate in use {what}"));
    let der = chain.first().ok_or_else(|| broken("is missing"))?;
    let certificate = Certificate::parse(der).map_err(|error| broken(&error.to_string()))?;
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    let pairs: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let mut answer = json!({
        "fingerprint": pairs.join(":"), "subject": certificate.subject, "issuer": certificate.issuer,
        "names": certificate.names, "not_before": certificate.not_before.to_string(),
        "not_after": certificate.not_after.to_string(), "key_type": certificate.key.to_string(),
        "signature": certificate.signing.name, "self_signed": certificate.is_self_issued(), "chain": chain.len(),
        "pem": chain.iter().map(|der| to_pem(der)).collect::<String>(), "request": outside.has_request(),
    });
    let book = world.book.borrow();
    if let Some(trial) = book.trial().filter(|trial| trial.tried == Tried::Certificate) {
        answer["pending"] = waits(trial);
    }
    Ok(answer)
}

/// Everything that speaks against a chain; empty where it is good.
fn objections(chain: &[Vec<u8>], now: Time) -> Vec<String> {
    let mut found = Vec::new();
    if chain.len() > LONGEST_CHAIN {
        return vec![format!("holds {} certificates, more than {LONGEST_CHAIN}", chain.len())];
    }
    let mut parsed = Vec::new();
    for (at, der) in chain.iter().enumerate() {
        match Certificate::parse(der) {
            Ok(certificate) => parsed.push(certificate),
            Err(error) => return vec![format!("certificate {} {error}", at + 1)],
        }
    }
    for (at, certificate) in parsed.iter().enumerate() {
        let mut object = |what: String| found.push(format!("certificate {} ({}) {what}", at + 1, certificate.subject));
        if certificate.not_after < now {
            object(format!("expired at {}", certificate.not_after));
        }
        if certificate.not_before > now {
            object(format!("is not valid before {}", certificate.not_before));
        }
        match certificate.key {
            Key::Rsa(bits) if bits < LEAST_RSA => {
                object(format!("has a weak key: RSA {bits}, at least {LEAST_RSA} bits are needed"))
            }
            Key::Curve(name @ ("P-192" | "P-224")) => {
                object(format!("has a weak key: {name}, at least P-256 is needed"))
            }
            Key::Other => object("has a key of an unknown kind".to_owned()),
            _ => {}
        }
        // Nobody looks at the signature that a root gives itself; the box's own certificate is looked at always.
        if certificate.signing.is_weak && (at == 0 || !certificate.is_self_issued()) {
            object(format!("is signed weakly: {}", certificate.signing.name));
        }
    }
    for (at, (certificate, issuer)) in parsed.iter().zip(parsed.iter().skip(1)).enumerate() {
        if !certificate.names_issuer(issuer) {
            found.push(format!(
                "the chain is not in order: certificate {} is issued by {}, and the next one is of {}",
                at + 1,
                certificate.issuer,
                issuer.subject
            ));
        } else if certificate.is_signed_by(issuer) == Some(false) {
            found.push(format!("certificate {} is not signed with the key of the next one", at + 1));
        }
    }
    found
}

/// The certificates in PEM text.
fn pem(text: &str) -> Result<Vec<Vec<u8>>, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => Err("holds no certificate in PEM".to_owned()),
        Ok(found) => Ok(found.into_iter().map(|der| der.to_vec()).collect()),
        Err(error) => Err(format!("is no PEM: {error}")),
    }
}

fn to_pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = text.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        pem.push_str(rest);
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

fn fault(path: &str, message: String) -> Fault {
    Fault { path: path.to_owned(), problem: Problem::Other(message) }
}
