//! A file that keeps the beginning and the end of what is written to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// A file of bounded size. When it is full, its first half stays, the last quarter moves up behind it, and
/// a line between them says how much is missing.
#[derive(Debug)]
pub(super) struct CappedFile {
    file: File,
    max: u64,
    length: u64,
    /// End of the beginning, and start of the end, once something was left out.
    cut: Option<(u64, u64)>,
    left_out: u64,
}

impl CappedFile {
    /// Makes the file anew.
    pub(super) fn create(path: &Path, max: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640);
        Ok(Self {
            file: options.open(path)?,
            max: max.max(1024),
            length: 0,
            cut: None,
            left_out: 0,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(usize::try_from(self.max / 8).unwrap_or(usize::MAX)) {
            if self.length + piece.len() as u64 > self.max {
                self.make_room()?;
            }
            self.append(piece)?;
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn make_room(&mut self) -> io::Result<()> {
        let (head, body) = match self.cut {
            Some(cut) => cut,
            None => {
                let half = self.max / 2;
                (half, half)
            }
        };
        let mut end = vec![0; usize::try_from(self.max / 4).unwrap_or(usize::MAX)];
        let start = self.length - end.len() as u64;
        self.file.read_exact_at(&mut end, start)?;
        self.left_out += start - body;
        self.length = head;
        self.append(format!("\n[… {} bytes left out …]\n", self.left_out).as_bytes())?;
        self.cut = Some((head, self.length));
        self.append(&end)?;
        self.file.set_len(self.length)?;
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(max: u64, lines: usize) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.out");
        let mut file = CappedFile::create(&path, max).unwrap();
        for number in 0..lines {
            file.write(format!("line {number}\n").as_bytes()).unwrap();
            assert!(file.file.metadata().unwrap().len() <= max);
        }
        std::fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn what_fits_is_kept_whole() {
        assert_eq!(written(1024, 3), "line 0\nline 1\nline 2\n");
    }

    #[test]
    fn of_more_the_beginning_and_the_end_are_kept_and_the_rest_is_counted() {
        let text = written(1024, 1000);
        assert!(text.starts_with("line 0\nline 1\n"), "{text}");
        assert!(text.ends_with("line 998\nline 999\n"), "{text}");
        let all: usize = (0..1000).map(|number| format!("line {number}\n").len()).sum();
        let (head, rest) = text.split_once("\n[… ").unwrap();
        let (left_out, tail) = rest.split_once(" bytes left out …]\n").unwrap();
        assert_eq!(
            head.len() + tail.len() + left_out.parse::<usize>().unwrap(),
            all,
            "{text}"
        );
    }

    #[test]
    fn one_write_larger_than_the_file_is_no_problem() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.out");
        let mut file = CappedFile::create(&path, 1024).unwrap();
        file.write(&vec![b'x'; 1 << 20]).unwrap();
        file.write(b"end").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() <= 1024 && text.ends_with("xend"));
    }
}
