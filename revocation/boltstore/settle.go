package boltstore

// settle makes durable what was found, which counts as stored from now on. The last
// process may have ended before it was; or could not make it so, and after that an
// operating system can take for written what is not. So it is written once more, as it
// is: what bbolt's two pages at the front lead to was durable before they were written.
// Those one after the other, as bbolt does: one of them is always whole.
func (s *Store) settle() error {
	for i := range s.journal.rooms {
		if r := &s.journal.rooms[i]; !r.isEmpty() {
			if err := s.rewrite(r.at, r.used); err != nil {
				return err
			}
		}
	}
	page := s.front / 2
	for at := int64(0); at < s.front; at += page {
		if err := s.rewrite(at, int(page)); err != nil {
			return err
		}
		if err := s.sync(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) rewrite(at int64, length int) error {
	content := make([]byte, length)
	if _, err := s.file.ReadAt(content, at); err != nil {
		return err
	}
	_, err := s.file.WriteAt(content, at)
	return err
}
