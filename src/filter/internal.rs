//! What `INT` means: an address inside the internal netblocks; of flows of a partition that names its own, inside those.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::Net;
use crate::base::Ip;

/// The netblocks that `INT` means where nobody names others: RFC 1918, RFC 4193 and the link-local ones.
pub const DEFAULT_INTERNAL: &[&str] =
    &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"];

/// The internal netblocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Internal {
    nets: Arc<[Net]>,
    partitions: BTreeMap<u16, Arc<[Net]>>,
}

impl Internal {
    /// The same netblocks for the flows of all partitions.
    #[must_use]
    pub const fn new(nets: Arc<[Net]>) -> Self {
        Self { nets, partitions: BTreeMap::new() }
    }

    /// [`DEFAULT_INTERNAL`], made once: filters are parsed for each call.
    pub(super) fn usual() -> Arc<Self> {
        static USUAL: LazyLock<Arc<Internal>> = LazyLock::new(Arc::default);
        Arc::clone(&USUAL)
    }

    /// Others for the flows of a partition.
    #[must_use]
    pub fn with_partition(mut self, partition: u16, nets: Arc<[Net]>) -> Self {
        self.partitions.insert(partition, nets);
        self
    }

    /// Whether one of the addresses of a flow of that partition is internal.
    pub(super) fn holds(&self, partition: u16, addresses: [Ip; 2]) -> bool {
        let nets = self.partitions.get(&partition).unwrap_or(&self.nets);
        nets.iter().any(|net| addresses.iter().any(|ip| net.holds(*ip)))
    }
}

impl Default for Internal {
    fn default() -> Self {
        Self::new(DEFAULT_INTERNAL.iter().filter_map(|block| Net::parse(block)).collect())
    }
}
