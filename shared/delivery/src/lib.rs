//! Both halves of the delivery protocol as machines, and the journal's format.
#![forbid(unsafe_code)]
