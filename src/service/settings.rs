//! What the service is told by its file of settings.

pub(crate) mod load;
pub(crate) mod secret;
pub(crate) mod source;
