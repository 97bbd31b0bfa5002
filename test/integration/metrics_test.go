package integration

import (
	"bytes"
	"flag"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "with -long, write the pictures of docs")

var metricsURL = regexp.MustCompile(`(?m)^spdk_tgt: metrics at (http://\S+)$`)

// TestMetricsPage looks at the page of a spdk_tgt that works, in a browser, and takes the pictures of the README.
func TestMetricsPage(t *testing.T) {
	if !*long {
		skip(t, notLong)
	}
	mem, data := filepath.Join(scratch, "mem"), filepath.Join(scratch, "data")
	for _, dir := range []string{mem, data} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tg := startTarget(t, targetOptions{reactors: 2, cache: "none", mount: mem, extra: []string{
		"--aio", "data0:" + t.TempDir(), "--mount", "data0=" + data, "--sandbox", "none", "--seccomp", "none",
		"--metrics", "127.0.0.1:0",
	}})
	url := metricsURL.FindStringSubmatch(tg.output())
	if url == nil {
		t.Fatalf("no address of the metrics\n%s", tg.output())
	}
	b := startBrowser(t, 1280, 800)
	b.prefer("dark")
	b.open(url[1])
	b.await(`document.getElementById("state")?.className === "live"`)

	b.await(`document.getElementById("kernel").clientHeight === 0`) // nobody has asked for it
	stop := pageLoad(t, mem, data)
	time.Sleep(65 * time.Second) // the page shows a minute
	b.await(`document.getElementById("state")?.className === "live"`)
	b.await(`document.querySelectorAll("#opRows tr").length >= 8`)
	b.await(`document.querySelectorAll("#cores .core").length === 2`)
	b.await(`document.querySelectorAll("#mountRows tr").length === 2`)
	if text := b.eval(`document.body.innerText`); strings.Contains(text, "NaN") || strings.Contains(text, "undefined") {
		t.Errorf("the page shows what it should not:\n%s", text)
	}
	for scheme, name := range map[string]string{"dark": "metrics.png", "light": "metrics-light.png"} {
		b.prefer(scheme)
		b.await(fmt.Sprintf(`css.dark === %v`, scheme == "dark"))
		picture := b.screenshot()
		checkPicture(t, picture)
		if *update {
			if err := os.WriteFile(filepath.Join(repoRoot, "docs", name), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop()
	if said := b.complaints(); said != "" {
		t.Errorf("the page complains:\n%s", said)
	}
	tg.stop(t)
	b.await(`document.getElementById("state")?.className === "gone"`)
}

// TestMetricsPageOfTheKernel looks at the part of the page that is there only with --ebpf.
func TestMetricsPageOfTheKernel(t *testing.T) {
	if !*long {
		skip(t, notLong)
	}
	tg := startTarget(t, targetOptions{reactors: 2, cache: "none", extra: []string{"--ebpf", "--metrics", "127.0.0.1:0"}})
	url := metricsURL.FindStringSubmatch(tg.output())
	if url == nil {
		t.Fatalf("no address of the metrics\n%s", tg.output())
	}
	b := startBrowser(t, 1280, 1000)
	b.open(url[1])
	b.await(`document.getElementById("state")?.className === "live"`)
	b.await(`latest !== null`)
	if strings.Contains(tg.errors(), "going on without --ebpf") {
		b.await(`document.getElementById("kernel").clientHeight === 0`)
		return
	}
	b.await(`document.getElementById("kernel").clientHeight > 100`)
	churn(t, tg.mount)
	b.await(`document.querySelectorAll("#takerRows tr").length >= 1`)
	b.await(`/^\d+(\.\d+)? [nµm]?s$/.test(document.querySelector("#waitRows tr")?.children[2].textContent)`)
	if text := b.eval(`document.body.innerText`); strings.Contains(text, "NaN") || strings.Contains(text, "undefined") {
		t.Errorf("the page shows what it should not:\n%s", text)
	}
	if said := b.complaints(); said != "" {
		t.Errorf("the page complains:\n%s", said)
	}
	tg.stop(t)
}

// checkPicture wants a picture of the size that it was asked for, and something to see on it.
func checkPicture(t *testing.T, text []byte) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if size := img.Bounds().Size(); size.X != 1280 || size.Y != 800 {
		t.Errorf("the picture is %v", size)
	}
	colours := map[any]bool{}
	for x := range 1280 {
		for y := range 800 {
			colours[img.At(x, y)] = true
		}
	}
	if len(colours) < 200 {
		t.Errorf("the picture has %d colours", len(colours))
	}
}

// pageLoad has programs work on file systems: some that read and write, one that waits for its disk, and one that
// makes, lists and removes files. It returns what ends them.
func pageLoad(t *testing.T, mem, data string) (stop func()) {
	t.Helper()
	fio := exec.Command("fio", "--directory="+mem, "--time_based", "--runtime=600", "--size=64m", "--eta=never",
		"--name=read", "--rw=randread", "--bs=4k", "--rate_iops=6000", "--rate_process=poisson",
		"--name=write", "--rw=randwrite", "--bs=16k", "--rate_iops=1500", "--rate_process=poisson",
		"--name=log", "--directory="+data, "--rw=write", "--bs=4k", "--rate_iops=300", "--fsync=8")
	if err := fio.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() { // what comes in waves: half of the time, and more of it each time
		for i := 0; ; i++ {
			for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
				select {
				case <-done:
					return
				default:
				}
				if i%2 == 0 {
					churn(t, mem)
				}
				time.Sleep(3 * time.Millisecond)
			}
		}
	})
	return func() {
		close(done)
		_ = fio.Process.Signal(os.Interrupt)
		_ = fio.Wait()
		work.Wait()
	}
}

// churn makes some files, looks at them and removes them.
func churn(t *testing.T, dir string) {
	dir = filepath.Join(dir, "churn")
	_ = os.Mkdir(dir, 0o755)
	for i := range 8 {
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(name, []byte("some text"), 0o644); err != nil {
			t.Error(err)
			return
		}
		_, _ = os.Stat(name)
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 8 {
		t.Errorf("%d of 8 files: %v", len(list), err)
	}
	for _, f := range list {
		_ = os.Remove(filepath.Join(dir, f.Name()))
	}
}
