//! The stored ledger as what-if reads it: what happened beside the incidents' promises. The incidents themselves come
//! page by page ([`super::past`]).

use std::sync::Arc;

use jiff::Timestamp;
use upheld_agreement::account::{Happened, Stretch};
use upheld_model::ClientId;

use crate::{Desk, DeskError};

impl Desk {
    /// What happened at a client's over a period: each asset's time with what excuses it, and the work.
    pub async fn happened(&self, client: &ClientId, period: Stretch, as_of: Timestamp) -> Result<Happened, DeskError> {
        let (client, shared) = (client.clone(), Arc::clone(&self.shared));
        self.store
            .read("desk.happened", move |tx| {
                let book = shared.books.current(tx)?;
                super::statement::happened(tx, &book, &client, period, as_of)
            })
            .await
    }
}
