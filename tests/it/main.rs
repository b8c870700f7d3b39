//! What the engine promises, tried from outside.

mod smoke;
