//! Who a directory's broker is: that of its `meta.properties`, or the one that we make up for it.

use crate::config::properties;
use crate::engine::Engine;
use crate::engine::directory::root;
use crate::error::Result;
use crate::log::files;

/// The node id of a directory that was never a broker's.
pub(crate) const NODE: i32 = 1;

impl Engine {
    /// The cluster id and the node id.
    pub fn identity(&self) -> Result<(String, i32)> {
        let path = self.dir().join(root::META);
        let bytes = files::read(&*self.env().storage, &path)?.unwrap_or_default();
        let found = properties::parse(&bytes).unwrap_or_default();
        let value = |name: &str| found.iter().find(|it| it.name == name).map(|it| it.value.trim());
        // `broker.id` was its name before there was a quorum.
        let node = value("node.id").or_else(|| value("broker.id")).and_then(|id| id.parse().ok());
        let cluster = value("cluster.id").unwrap_or_default();
        Ok((cluster.to_owned(), node.unwrap_or(NODE)))
    }
}
