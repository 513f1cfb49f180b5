//! Sums hold, whatever the order, the cutting and the clock: what the exporters said is what all updates say, once.

use std::collections::BTreeMap;

use super::*;
use crate::base::testing::Random;

/// Who sent to whom, told by whom.
type Sums = BTreeMap<(Ip, Ip, Ip), Counters>;

fn add(sums: &mut Sums, exporter: Ip, src: Ip, dst: Ip, counters: Counters) {
    if counters != Counters::default() {
        let sum = sums.entry((exporter, src, dst)).or_default();
        (sum.packets, sum.bytes) = (sum.packets + counters.packets, sum.bytes + counters.bytes);
    }
}

fn sums_of(records: &[FlowRecord]) -> Sums {
    let mut sums = Sums::new();
    for record in records {
        let FlowKey { client, server, .. } = record.key;
        add(&mut sums, record.origin.exporter, client, server, record.delta[0]);
        add(&mut sums, record.origin.exporter, server, client, record.delta[1]);
    }
    sums
}

fn any_flow(random: &mut Random, now: u64) -> Flow<'static> {
    let ends = [random.below(6) as u8, random.below(6) as u8];
    let length = [0, 5, 61, 700, 9000][random.below(5) as usize];
    let ago = [5, 100, 4000, 20_000][random.below(4) as usize];
    let last = (now + 20).saturating_sub(random.below(ago));
    let protocol = [6, 17, 1][random.below(3) as usize];
    let is_biflow = random.below(5) == 0;
    let mut flow = flow(last.saturating_sub(length), last, random.below(2000), random.below(3_000_000));
    (flow.src, flow.dst) = (Ip::v4([10, 0, 0, ends[0]]), Ip::v4([10, 0, 0, ends[1]]));
    (flow.src_port, flow.dst_port) = (random.below(3) as u16 * 20_000, random.below(3) as u16 * 20_000);
    (flow.protocol, flow.tcp_flags) = (protocol, [random.below(64) as u8, random.below(64) as u8]);
    (flow.packets[1], flow.octets[1]) = if is_biflow { (random.below(9), random.below(9999)) } else { (0, 0) };
    (flow.if_in, flow.if_out) = (random.below(3) as u32, random.below(3) as u32);
    flow.egress = random.below(4) == 0;
    flow.sampling = [0, 0, 100][random.below(3) as usize];
    flow.end = [None, Some(1), Some(2), Some(3)][random.below(4) as usize];
    if random.below(10) == 0 {
        (flow.first, flow.last) = (None, None);
    }
    flow
}

#[test]
fn what_all_updates_say_is_what_the_exporters_said() {
    for seed in 1..=24 {
        let mut random = Random::new(seed);
        let capacity = [3, 20, 1000][random.below(3) as usize];
        let mut world = World::with(&IntakeConfig { capacity, exporters: 2, ..IntakeConfig::default() });
        let (mut said, mut now) = (Sums::new(), 10_000);
        for step in 0..2000 {
            let flow = any_flow(&mut random, now);
            let exporter = format!("192.0.2.{}", random.below(3));
            world.from(&exporter, now, &flow);
            for way in 0..2 {
                let counters = counted(flow.packets[way], flow.octets[way]);
                let (src, dst) = if way == 0 { (flow.src, flow.dst) } else { (flow.dst, flow.src) };
                add(&mut said, ip(&exporter), src, dst, counters);
            }
            now += [0, 0, 1, 40][random.below(4) as usize];
            if random.below(3) == 0 {
                world.tick(now);
            }
            if step % 500 == 0 {
                let mut all = world.records.clone();
                all.extend(world.live());
                assert_eq!(sums_of(&all), said, "seed {seed}: with what is live, at any moment");
            }
        }
        assert!(world.intake.counters().live <= u64::from(capacity));
        assert_eq!(sums_of(&world.finish()), said, "seed {seed}");
    }
}
