//! Projects and blobs in object storage
