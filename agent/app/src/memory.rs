//! What the agent remembers across a restart: the checks' folded states and how far the journal was then.
//!
//! The journal is the truth: what it holds beyond this is folded again at the start. A memory that cannot be read is
//! given up with a word; the checks begin anew then, and nothing that was journalled is lost.

use serde::{Deserialize, Serialize};
use upheld_delivery::journal::Position;
use upheld_engine::EngineSnapshot;

use crate::{
    files::{self, FileError},
    state::StateFolder,
};

/// The form of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Schema {
    #[serde(rename = "upheld.agent-memory/1")]
    V1,
}

/// One memory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    schema: Schema,
    /// How far the journal was.
    pub(crate) position: Position,
    /// The checks' states after them.
    pub(crate) snapshot: EngineSnapshot,
}

impl Memory {
    /// The states as they follow from the journal up to `position`.
    pub(crate) fn new(snapshot: EngineSnapshot, position: Position) -> Self {
        Self { schema: Schema::V1, position, snapshot }
    }

    /// Keeps it, durable.
    pub(crate) fn keep(&self, state: &StateFolder) -> Result<(), FileError> {
        let path = state.memory_json();
        let text = serde_json::to_vec(self).map_err(|error| FileError::of("write", &path)(error.into()))?;
        files::replace(&path, &text)
    }

    /// The last one, if there is one that can be read.
    pub(crate) fn recall(state: &StateFolder) -> Option<Self> {
        let path = state.memory_json();
        let read = files::read_if_there(&path).map_err(|error| error.to_string());
        match read.and_then(|text| text.map(|text| serde_json::from_str(&text)).transpose().map_err(|e| e.to_string()))
        {
            Ok(memory) => memory,
            Err(error) => {
                tracing::warn!(error, "The kept states of the checks cannot be read; the checks begin anew.");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use upheld_model::ObservedAt;

    use super::*;

    #[test]
    fn a_memory_reads_back_and_a_damaged_one_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::new(folder.path());
        assert!(Memory::recall(&state).is_none());
        let at = ObservedAt("2026-11-16T16:10:07Z".parse().unwrap());
        let position: Position = serde_json::from_str(r#"{"segment":3,"place":7}"#).unwrap();
        Memory::new(EngineSnapshot { at, config: None, folds: Vec::new(), running: None }, position)
            .keep(&state)
            .unwrap();
        let memory = Memory::recall(&state).unwrap();
        assert_eq!((memory.position, memory.snapshot.at), (position, at));
        std::fs::write(state.memory_json(), "{").unwrap();
        assert!(Memory::recall(&state).is_none());
    }
}
