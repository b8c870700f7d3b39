//! A herd of readers of one cold key.
