//! Writes an object as its bytes come.

use bytes::{Bytes, BytesMut};
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use ring::digest;
use wardstead_limits::media as limits;

use super::{Object, ObjectError, ObjectName, Objects, Sealer, TAG_BYTES, location};

/// An object that is being written: one part of it is in memory.
pub(crate) struct Writer {
    objects: Objects,
    object: Object,
    sealer: Option<Sealer>,
    /// The part that is filled.
    part: BytesMut,
    /// Where in it the chunk begins that is filled.
    start: usize,
    /// The number of that chunk.
    chunk: u64,
    hash: digest::Context,
    upload: Option<Box<dyn MultipartUpload>>,
}

/// An object that is written, and durable.
pub(crate) struct Written {
    pub(crate) object: Object,
    /// SHA-256 of the file.
    pub(crate) hash: [u8; 32],
}

impl Objects {
    /// Begins to write the object `name`.
    pub(crate) fn begin(&self, name: ObjectName) -> Result<Writer, ObjectError> {
        let key = self.newest();
        let sealer = self.sealer(key, &name)?;
        let object = Object { name, key, bytes: 0 };
        let hash = digest::Context::new(&digest::SHA256);
        Ok(Writer {
            objects: self.clone(),
            object,
            sealer,
            part: BytesMut::new(),
            start: 0,
            chunk: 0,
            hash,
            upload: None,
        })
    }
}

impl Writer {
    /// Bytes that came so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.object.bytes
    }

    /// Bytes that are in memory.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.part.capacity()
    }

    /// Writes what comes next.
    pub(crate) async fn write(&mut self, mut data: &[u8]) -> Result<(), ObjectError> {
        self.hash.update(data);
        self.object.bytes += data.len() as u64;
        while !data.is_empty() {
            let mut room = limits::CHUNK_BYTES - (self.part.len() - self.start);
            if room == 0 {
                // Only now is it known that this chunk is not the last one.
                self.seal(false)?;
                if self.part.len() >= self.objects.part_bytes {
                    self.flush().await?;
                }
                room = limits::CHUNK_BYTES;
            }
            let (now, rest) = data.split_at(room.min(data.len()));
            self.part.extend_from_slice(now);
            data = rest;
        }
        Ok(())
    }

    fn seal(&mut self, is_last: bool) -> Result<(), ObjectError> {
        if let Some(sealer) = &self.sealer {
            let sealed = sealer.seal(self.chunk, is_last, &mut self.part[self.start..]);
            let tag: [u8; TAG_BYTES] = sealed.map_err(|_| ObjectError::Encryption)?;
            self.part.extend_from_slice(&tag);
        }
        self.start = self.part.len();
        self.chunk += 1;
        Ok(())
    }

    /// Hands the part over, and waits until it is written: so no more than one is held.
    async fn flush(&mut self) -> Result<(), ObjectError> {
        let part = self.take();
        if self.upload.is_none() {
            self.upload = Some(self.objects.store.put_multipart(&location(&self.object.name)).await?);
        }
        if let Some(upload) = &mut self.upload {
            upload.put_part(PutPayload::from(part)).await?;
        }
        Ok(())
    }

    fn take(&mut self) -> Bytes {
        self.start = 0;
        self.part.split().freeze()
    }

    /// There is no more. Returns when the object is durable.
    pub(crate) async fn finish(mut self) -> Result<Written, ObjectError> {
        self.seal(true)?;
        if self.upload.is_some() {
            self.flush().await?;
        }
        if let Some(mut upload) = self.upload.take() {
            upload.complete().await?;
        } else {
            let part = self.take();
            self.objects.store.put(&location(&self.object.name), PutPayload::from(part)).await?;
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(self.hash.finish().as_ref());
        Ok(Written { object: self.object, hash })
    }

    /// Gives up. What is left is found by the row that was written before.
    pub(crate) async fn abort(mut self) {
        if let Some(upload) = &mut self.upload
            && let Err(error) = upload.abort().await
        {
            tracing::debug!(%error, "an upload was not taken back; it is removed later");
        }
    }
}
