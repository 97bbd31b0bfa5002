package app

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version is the release that this tree leads to.
//
// SPDK: SPDK_VERSION_STRING
const Version = "0.1.0-dev"

// VersionString describes the running program in one line: release, revision if the build
// knows it, Go version and platform.
//
// SPDK: spdk_app_parse_args, --version
func VersionString() string {
	rev := ""
	if r := revision(); len(r) >= 12 {
		rev = " git " + r[:12]
	}
	return fmt.Sprintf("spdk-go %s%s %s %s/%s", Version, rev, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// revision is the commit that the program was built from, "" if the build does not know it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
