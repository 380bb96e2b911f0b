//! Facts and rows behind narrow traits; the embedded database.
