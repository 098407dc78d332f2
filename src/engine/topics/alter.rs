//! How settings change: alone among all processes, and so that whoever comes after one that died
//! in the middle finds the old ones or the new ones.
//!
//! A topic's are in the list of topics, the directory's in their own file. Either is replaced in one
//! step between two counts of a generation in the control file, which every process looks at before
//! it uses a setting.

use std::sync::Arc;

use crate::config::{Change, DirectoryConfig, TopicConfig, directory};
use crate::engine::Engine;
use crate::engine::topics::catalog::unknown;
use crate::engine::topics::unheeded;
use crate::env::point::point;
use crate::error::{At, Result};
use crate::log::files;

impl Engine {
    /// Changes settings of a topic. After `Ok` they hold for the next append, read and upkeep of
    /// every process, and survive a crash. With `validate_only` nothing is changed; after `Err` too,
    /// unless it was the last step that failed: then they hold, and a crash may take them back, until
    /// the same is altered again.
    pub fn alter_topic(
        &self,
        name: &str,
        changes: &[(String, Change)],
        validate_only: bool,
    ) -> Result<()> {
        if validate_only {
            let topic = self.topic(name)?.ok_or_else(|| unknown(name))?;
            return self.altered(&topic.config, changes).map(drop);
        }
        self.change(|revision| {
            let topic = revision.topics.get(name).cloned().ok_or_else(|| unknown(name))?;
            let config = self.altered(&topic.config, changes)?;
            if config == *topic.config {
                return self.keep_altered();
            }
            unheeded::warn(&config.given);
            revision.topics.configure(&topic, Arc::new(config));
            revision.write()
        })
    }

    fn altered(&self, config: &TopicConfig, changes: &[(String, Change)]) -> Result<TopicConfig> {
        let directory = self.config();
        let altered = config.altered(changes, &directory)?;
        altered.within(&directory).check()?;
        Ok(altered)
    }

    /// Makes what is altered already survive a crash: who did it may have failed or died at that.
    fn keep_altered(&self) -> Result<()> {
        self.env().storage.sync_dir(self.dir()).at("sync", self.dir())
    }

    /// Changes settings of the directory in its file; comments and other lines stay. After `Ok` they
    /// hold for every process, and survive a crash; otherwise see [`alter_topic`](Self::alter_topic).
    pub fn alter_directory(&self, changes: &[(String, Change)], validate_only: bool) -> Result<()> {
        let storage = &*self.env().storage;
        let path = self.dir().join(directory::FILE);
        let altered = || {
            let bytes = files::read(storage, &path)?.unwrap_or_default();
            let config = DirectoryConfig::parse(&bytes, &path)?;
            let altered = config.altered(&bytes, changes, &path)?;
            Ok((altered != bytes).then_some(altered))
        };
        if validate_only {
            return altered().map(drop);
        }
        self.alone(|| {
            let Some(bytes) = altered()? else { return self.keep_altered() };
            self.shared.control.begin_change_of_settings();
            point("settings.begun");
            files::replace(storage, &path, &bytes)?;
            point("settings.written");
            Ok(())
        })
    }
}
