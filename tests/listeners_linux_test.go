package tests

import (
	endian "encoding/binary" // binary is the Caddy under test
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// listeners says how many sockets listen at a TCP port, by sock_diag(7): of all
// sockets, of which a test under load leaves tens of thousands, the kernel looks at
// those alone.
func listeners(port uint16) (n int, err error) {
	for _, family := range []byte{syscall.AF_INET, syscall.AF_INET6} {
		of, err := listenersOf(family, port)
		if err != nil {
			return 0, err
		}
		n += of
	}
	return n, nil
}

func listenersOf(family byte, port uint16) (n int, err error) {
	const tcpListen = 10 // TCP_LISTEN
	socket, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer func() { _ = syscall.Close(socket) }()
	// A header, and what is asked for: struct inet_diag_req_v2, whose socket is any.
	request := make([]byte, syscall.NLMSG_HDRLEN+56)
	endian.NativeEndian.PutUint32(request[0:], uint32(len(request)))
	endian.NativeEndian.PutUint16(request[4:], unix.SOCK_DIAG_BY_FAMILY)
	endian.NativeEndian.PutUint16(request[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_DUMP)
	request[syscall.NLMSG_HDRLEN], request[syscall.NLMSG_HDRLEN+1] = family, syscall.IPPROTO_TCP
	endian.NativeEndian.PutUint32(request[syscall.NLMSG_HDRLEN+4:], 1<<tcpListen)
	if err := syscall.Sendto(socket, request, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return 0, os.NewSyscallError("sendto", err)
	}
	for answer := make([]byte, 1<<16); ; {
		length, _, err := syscall.Recvfrom(socket, answer, 0)
		if err != nil {
			return 0, os.NewSyscallError("recvfrom", err)
		}
		messages, err := syscall.ParseNetlinkMessage(answer[:length])
		if err != nil {
			return 0, os.NewSyscallError("netlink", err)
		}
		for _, m := range messages {
			switch m.Header.Type {
			case syscall.NLMSG_DONE:
				return n, nil
			case syscall.NLMSG_ERROR:
				errno := -int32(endian.NativeEndian.Uint32(m.Data))
				return 0, os.NewSyscallError("netlink", syscall.Errno(errno))
			case unix.SOCK_DIAG_BY_FAMILY: // struct inet_diag_msg: its own port stands behind four bytes
				if endian.BigEndian.Uint16(m.Data[4:]) == port {
					n++
				}
			}
		}
	}
}

// The two of a reload are told from the one that stays.
func TestListeners(t *testing.T) {
	port := freePort(t)
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	reuse := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}), err)
	}}
	for want := range 3 {
		if n, err := listeners(uint16(number)); n != want || err != nil {
			t.Errorf("%d listen, %v; want %d", n, err, want)
		}
		listener, err := reuse.Listen(t.Context(), "tcp", "localhost:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }()
	}
}
