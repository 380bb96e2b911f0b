//! Every problem that portal and API know by name: the title, what it means, what to do. Each is a page of the portal, which
//! is what a problem's `type` names, and none is said that is not here.

/// A problem by its name.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Known {
    /// As it stands in `code` and at the end of `type`.
    pub(crate) name: &'static str,
    /// The answer's status.
    pub(crate) status: u16,
    /// The short sentence.
    pub(crate) title: &'static str,
    /// What it means.
    pub(crate) means: &'static str,
    /// What to do.
    pub(crate) remedy: &'static str,
}

macro_rules! problems {
    ($($constant:ident: $name:literal, $status:literal, $title:literal, $means:literal, $remedy:literal;)+) => {
        $(pub(crate) static $constant: Known =
            Known { name: $name, status: $status, title: $title, means: $means, remedy: $remedy };)+

        /// All of them, in the order in which the page lists them.
        pub(crate) static ALL: &[&Known] = &[$(&$constant),+];
    };
}

problems! {
    NOT_SIGNED_IN: "not-signed-in", 401, "You are not signed in",
        "The request carries no session and no token, or one that has ended, or was taken back.",
        "Log in at /login; nothing of this request was taken. Scripts send Authorization: Bearer TOKEN, made under Settings, Tokens, or by upheld-collector api-token.";
    MAY_ONLY_LOOK: "may-only-look", 403, "You may look, but not change this",
        "The session or token may read and no more.",
        "Ask for a session or token whose rights are respond.";
    MAY_NOT: "may-not", 403, "Your role may not do this",
        "Each role may what the table of roles says; detail names the roles that may this. A client's people report problems, write notes and dispute; what follows from it the provider does.",
        "Ask one of those who may. Write a note or dispute the fact; the provider is told.";
    FOREIGN_ORIGIN: "foreign-origin", 403, "This request did not come from our own pages",
        "What changes something must be sent by a page of this portal, or carry an API token.",
        "Open the portal and press the button there. Scripts use an API token in place of a cookie.";
    NOT_FOUND: "not-found", 404, "There is nothing here",
        "It does not exist, or it is not yours to see. The two answers are the same on purpose.",
        "Look at the queue, or at GET /api/v1/incidents, for what there is.";
    WRONG_METHOD: "wrong-method", 405, "This address does not take this method",
        "The address is there; what was asked of it is not.",
        "See /openapi.json for the methods of each address.";
    MALFORMED: "malformed", 400, "This request cannot be read",
        "The body, a parameter or a header has another form than the one that /openapi.json describes. Each fault is listed in errors, with a pointer into the body or the parameter's name.",
        "Correct what errors names and send it again. Nothing was changed.";
    TOO_LARGE: "too-large", 413, "This body is too large",
        "A body may have 2 MiB.",
        "Send less. Nothing was changed.";
    TIME_NOT_POSSIBLE: "time-not-possible", 409, "It cannot have happened then",
        "A time lies in the future, before the incident, or too far back.",
        "Give the time at which it happened, or leave it out for now.";
    NOT_ALLOWED: "not-allowed", 409, "This word is not allowed here",
        "A word is none that the agreement, the book or the vocabulary knows; detail lists those that are.",
        "Take one of the words in detail.";
    WRONG_STATE: "wrong-state", 409, "The incident's state does not take this",
        "What was asked does not fit how the incident stands: what is closed cannot be paused.",
        "Read the incident: offers.commands lists what it takes.";
    STALE: "stale", 412, "It has changed since you looked",
        "If-Match named a revision that is not the present one. Nothing was changed; current is the incident as it stands now, and ETag is its revision.",
        "Read current. If the command still makes sense, send it again with the new ETag.";
    KEY_REUSED: "idempotency-key-reused", 422, "This key stands for another request",
        "Another request of yours carried this Idempotency-Key within the last 24 h. Nothing was changed.",
        "Take a new key for a new request.";
    UNAVAILABLE: "unavailable", 503, "The collector cannot answer at the moment",
        "The store did not answer, or there is no book yet. Nothing was changed.",
        "Try again; the collector's log says why.";
}

/// The problem of this name.
pub(crate) fn find(name: &str) -> Option<&'static Known> {
    ALL.iter().copied().find(|known| known.name == name)
}
