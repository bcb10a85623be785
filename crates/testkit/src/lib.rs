//! For tests only: programs in a scratch folder, waiting for conditions
