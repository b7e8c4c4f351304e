//! engine-rocksdb
