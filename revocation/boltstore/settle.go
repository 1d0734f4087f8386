package boltstore

// settle makes durable what was found, which counts as stored from now on. The last
// process may have ended before it was; or could not make it so, and after that an
// operating system can take for written what is not. So it is written once more, as it
// is: what bbolt's two pages at the front lead to was durable before they were written.
func (s *Store) settle() error {
	if err := s.rewrite(0, int(s.front)); err != nil {
		return err
	}
	for i := range s.journal.rooms {
		if r := &s.journal.rooms[i]; !r.isEmpty() {
			if err := s.rewrite(r.at, r.used); err != nil {
				return err
			}
		}
	}
	return s.sync()
}

func (s *Store) rewrite(at int64, length int) error {
	content := make([]byte, length)
	if _, err := s.file.ReadAt(content, at); err != nil {
		return err
	}
	_, err := s.file.WriteAt(content, at)
	return err
}
