//go:build e2e

package cluster

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The kernel drops what the rules say: connections between a pod and a database wait, and go on after the end.
func TestAPartitionDropsPacketsAndEndsNoConnection(t *testing.T) {
	// The thread, and with it the network, ends with this test.
	runtime.LockOSThread()
	require.NoError(t, unix.Unshare(unix.CLONE_NEWNET), "this test makes a network: run it as root")
	require.NoError(t, setupNetwork())
	node, err := netlink.LinkByName(nodeInterface)
	require.NoError(t, err)
	pod := netip.MustParseAddr("198.18.128.5")
	require.NoError(t, netlink.AddrAdd(node, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(pod, 32))}))
	database := &net.TCPAddr{IP: databasePrefix.Addr().Next().AsSlice(), Port: 5432}
	listener, err := net.ListenTCP("tcp4", database)
	require.NoError(t, err)
	defer listener.Close()
	assert.Contains(t, holder(5432), fmt.Sprintf("(process %d)", os.Getpid()), "of this thread's network")
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(conn, conn)
		}
	}()
	dial := func(from netip.Addr) (net.Conn, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}, Timeout: time.Second}
		return d.DialContext(t.Context(), "tcp4", database.String())
	}
	open, err := dial(pod)
	require.NoError(t, err)
	defer open.Close()
	answers := bufio.NewReader(open)
	say := func(word string, limit time.Duration) error {
		if _, err := fmt.Fprintln(open, word); err != nil {
			return err
		}
		require.NoError(t, open.SetReadDeadline(time.Now().Add(limit)))
		_, err := answers.ReadString('\n')
		return err
	}
	require.NoError(t, say("before", time.Minute))

	s := &supervisor{applyRules: applyRules}
	for range 2 { // the fault can be caused twice
		require.NoError(t, s.partition(true))
	}
	var late net.Error
	require.ErrorAs(t, say("meanwhile", time.Second), &late)
	assert.True(t, late.Timeout(), "no answer, and no end: %v", late)
	_, err = dial(pod)
	require.ErrorAs(t, err, &late)
	assert.True(t, late.Timeout(), "no refusal: %v", late)
	other, err := dial(nodeAddress)
	require.NoError(t, err, "the databases and the node see each other")
	require.NoError(t, other.Close())

	for range 2 {
		require.NoError(t, s.partition(false))
	}
	require.NoError(t, open.SetReadDeadline(time.Now().Add(time.Minute)))
	line, err := answers.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "meanwhile\n", line, "the connection goes on where it was")
}
