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
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				rev = " git " + s.Value[:12]
			}
		}
	}
	return fmt.Sprintf("spdk-go %s%s %s %s/%s", Version, rev, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
