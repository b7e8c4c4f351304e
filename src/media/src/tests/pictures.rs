//! Pictures that are uploaded.

use super::*;
use crate::strip;

/// Uploads it as this, in pieces of so many bytes, and reads what is stored.
async fn stored(node: &Node, content_type: &str, file: &[u8], piece: usize) -> Result<Vec<u8>, MediaError> {
    let pieces: Vec<Result<Bytes, Infallible>> = file.chunks(piece).map(Bytes::copy_from_slice).map(Ok).collect();
    let about = About::new(Some(content_type), None);
    let id = node.media.upload(ANNA, &about, None, stream::iter(pieces)).await?;
    node.read(&id).await
}

#[tokio::test]
async fn a_picture_by_another_name_is_stripped() {
    let node = Node::new(MediaConfig::default()).await;
    let file = include_bytes!("../../tests/pictures/ricoh.jpg");
    let stripped = strip::strip("image/jpeg", Bytes::from_static(file)).unwrap().bytes;
    assert!(stripped.len() < file.len() / 10);
    for content_type in ["image/jpeg", "image/png", "application/octet-stream", "text/plain", "video/mp4"] {
        for piece in [7, 1_000, file.len()] {
            assert_eq!(stored(&node, content_type, file, piece).await.unwrap(), stripped, "{content_type} {piece}");
        }
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
        let refused = stored(&node, content_type, heic, 3).await;
        assert!(matches!(refused, Err(MediaError::Picture(strip::Refused::Heif))), "{content_type}");
        // What is encrypted is as it was, whatever it begins as; so is what is too short to be anything.
        for other in [&b"\xff\xd8\xff\x21encrypted"[..], b"\xff\xd8", b"", b"twenty bytes of text"] {
            if content_type == "application/octet-stream" {
                assert_eq!(stored(&node, content_type, other, 5).await.unwrap(), other);
            }
        }
    }
    // Where the operator chose so nothing is.
    let node = Node::new(MediaConfig { strip: false, ..MediaConfig::default() }).await;
    assert_eq!(stored(&node, "image/jpeg", file, 1_000).await.unwrap(), file);
}
