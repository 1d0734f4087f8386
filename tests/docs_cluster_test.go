package tests

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const clusterPageFile = "../docs/cluster.md"

// clusterPage is what an example of the page runs on.
type clusterPage struct {
	t         *testing.T
	servers   []*nats
	gateways  []*caddy
	texts     []string // what the page says, and what there is
	bin, dir  string   // of commands, and of the files that they speak of
	authority *certifier
}

// Every Caddyfile and every configuration of NATS on the page is run, with two
// gateways, and every command prints what stands there.
func TestClusterPage(t *testing.T) {
	confidential.add("backend-secret-of-the-page")
	t.Setenv("BACKEND_SECRET", "backend-secret-of-the-page")
	t.Setenv("NATS_PASSWORD", confidential.add("nats-password-of-the-page"))
	ran, commands := 0, 0
	for _, section := range readDoc(t, clusterPageFile, "conf", "caddyfile", "console") {
		if len(section.blocks) == 0 {
			continue
		}
		ran++
		t.Run(section.heading, func(t *testing.T) {
			p := newClusterPage(t)
			p.serve(section.of("conf"))
			if blocks := section.of("caddyfile"); len(blocks) != 1 {
				t.Fatal("not one Caddyfile")
			} else {
				p.launch(blocks[0].text)
			}
			for _, block := range section.of("console") {
				commands += p.run(block)
			}
		})
	}
	if ran != 6 || commands < 20 {
		t.Errorf("%d sections with examples, %d commands", ran, commands)
	}
}

func newClusterPage(t *testing.T) *clusterPage {
	p := &clusterPage{t: t, bin: t.TempDir(), dir: t.TempDir() + "/"}
	server, err := natsBinary()
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"caddy": binary, "nats-server": server} {
		if err := os.Symlink(path, filepath.Join(p.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	p.texts = []string{"/etc/nats/", p.dir, "/etc/caddy/", p.dir, "/run/", p.dir}
	p.authority = newCertifier(t)
	p.authority.write(filepath.Join(p.dir, "ca.pem"))
	p.authority.write(filepath.Join(p.dir, "nats-ca.pem"))
	p.certify("server.pem", "server-key.pem")
	return p
}

// certify writes a certificate of this machine.
func (p *clusterPage) certify(certificate, key string) {
	own := certificateKey(p.t)
	pair := p.authority.sign(own, &x509.Certificate{
		Subject: pkix.Name{CommonName: "nats"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, p.authority.key)
	der, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		p.t.Fatal(err)
	}
	write(p.t, filepath.Join(p.dir, certificate), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	write(p.t, filepath.Join(p.dir, key), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

var clusterPagePort = regexp.MustCompile(`(\d\.\d\.\d\.\d|nats\d\.internal|leaf\.internal):(\d+)`)

// serve runs the servers with these configurations; one that has routes to three
// servers is that of all of them.
func (p *clusterPage) serve(blocks []docBlock) {
	configs := []string{}
	for _, block := range blocks {
		if !strings.Contains(block.text, "routes:") {
			configs = append(configs, block.text)
			continue
		}
		for n := 1; n <= 3; n++ {
			name := fmt.Sprint("nats", n)
			config := strings.Replace(block.text, "server_name: nats1", "server_name: "+name, 1)
			configs = append(configs, regexp.MustCompile(`(listen|http): [\d.]+:`).ReplaceAllString(config, "$1: "+name+".internal:"))
		}
	}
	ports := map[string]string{} // by the address on the page
	for i, config := range configs {
		config = strings.ReplaceAll(config, "0.0.0.0:4223", "leaf.internal:4223")
		config = regexp.MustCompile(`(0\.0\.0\.0|127\.0\.0\.1):`).ReplaceAllString(config, "nats1.internal:")
		for _, address := range clusterPagePort.FindAllString(config, -1) {
			if ports[address] == "" {
				ports[address] = "127.0.0.1:" + freePort(p.t)
				p.texts = append(p.texts, address, ports[address])
			}
		}
		configs[i] = config
	}
	p.texts = append(p.texts, "/var/lib/nats", p.dir+"data")
	texts := strings.NewReplacer(p.texts...)
	for i, config := range configs {
		listens := regexp.MustCompile(`(?m)^listen: (\S+)`).FindStringSubmatch(texts.Replace(config))
		_, port, _ := strings.Cut(listens[1], ":")
		n := &nats{t: p.t, dir: p.t.TempDir(), port: port, logs: new(logs)}
		text := strings.ReplaceAll(texts.Replace(config), p.dir+"data", filepath.Join(n.dir, "data"))
		write(p.t, filepath.Join(n.dir, "nats.conf"), text)
		n.start()
		p.servers = append(p.servers, n)
		p.t.Cleanup(func() {
			n.kill(syscall.SIGKILL)
			if p.t.Failed() {
				p.t.Logf("server %d printed:\n%s", i, tail(n.logs.String(), 4000))
			}
		})
	}
}

// launch runs the gateways, and waits until they are level.
func (p *clusterPage) launch(caddyfile string) {
	up := newUpstream(p.t)
	for i := range 2 {
		c := newCaddy(p.t, p.t.TempDir(), up)
		c.asItStands = "it is an example"
		name := fmt.Sprint("gateway", i+1)
		port := strings.TrimPrefix(c.url, "http://localhost:")
		other := freePort(p.t)
		p.texts = append(p.texts, name+":8080", "localhost:"+port, name+":$port", "localhost:$port", name+":8081", "localhost:"+other, name+":2019", c.admin)
		if i == 0 { // of which a loop speaks
			p.texts = append(p.texts, "for port in 8080 8081", "for port in "+port+" "+other)
		}
		own := strings.NewReplacer(append([]string{":8080", ":" + port, ":8081", ":" + other, "localhost:9000", up.address}, p.texts...)...)
		c.launch(strings.Replace(own.Replace(caddyfile), "{\n", "{\n\tadmin ADMIN\n\tauto_https off\n", 1))
		if strings.Contains(c.logs.String(), "not formatted") {
			p.t.Error("the Caddyfile is not formatted")
		}
		p.gateways = append(p.gateways, c)
	}
	for _, c := range p.gateways {
		c.levelled(p.t)
	}
}

var clusterPageSleep = regexp.MustCompile(`^sleep \d+; `)

// run runs the commands of a block and compares what they print. What the page has
// to wait for, this tries until it is so, and what changes nothing: such as readiness
// that a busy machine takes from a gateway for a moment.
func (p *clusterPage) run(block docBlock) (commands int) {
	p.t.Helper()
	texts := strings.NewReplacer(append(p.texts, "for n in 1 2", "for n in "+p.gateways[0].url[17:]+" "+p.gateways[1].url[17:], "gateway$n:8080", "localhost:$n")...)
	for step := range strings.SplitSeq("\n"+block.text, "\n$ ") {
		command, want, _ := strings.Cut(step, "\n")
		if command == "" {
			continue
		}
		commands++
		if strings.HasPrefix(command, "nats-server -c") {
			p.servers[0].kill(syscall.SIGKILL) // it has ended
			p.servers[0].start()
			continue
		}
		command, waits := strings.CutPrefix(clusterPageSleep.ReplaceAllString(command, "sleep; "), "sleep; ")
		try := func() error {
			cmd := exec.Command("bash", "-c", texts.Replace(command))
			cmd.Dir, cmd.WaitDelay = p.dir, 10*time.Second
			cmd.Env = append(p.gateways[0].command().Env, "PATH="+p.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			out, err := cmd.Output()
			if got, want := p.steady(string(out)), p.steady(want); err != nil || got != want {
				return fmt.Errorf("%s:%d: %s: %v; it prints\n%s\nwant\n%s", clusterPageFile, block.line, command, err, got, want)
			}
			return nil
		}
		if waits || !strings.Contains(command, "/token/revocation") {
			eventually(p.t, try)
		} else if err := try(); err != nil {
			p.t.Error(err)
		}
	}
	return commands
}

var clusterPageTimes = regexp.MustCompile(`20\d\d-\d\d-\d\dT[0-9:.]+Z|[0-9.µm]+s ago|it took [0-9.µm]+s|"(staleness|lag)_seconds":[0-9.e-]+|127\.0\.0\.1:\d+|nats1\.internal:\d+`)

// steady is an output without what differs from run to run, and JSON in one line.
func (p *clusterPage) steady(out string) string {
	var line bytes.Buffer
	if json.Compact(&line, []byte(out)) == nil {
		out = line.String()
	}
	for _, c := range p.gateways {
		out = strings.ReplaceAll(out, c.dir+"/data", "/var/lib/caddy")
	}
	out = clusterPageTimes.ReplaceAllString(out, "…")
	return strings.TrimSpace(operationsSpaces.ReplaceAllString(out, " "))
}
