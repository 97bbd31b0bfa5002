package appflags_test

import (
	"fmt"
	"os"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/appflags"
	"github.com/spdk-go/spdk-go/reactor"
)

// The program of docs/app.md, which runs until it gets a signal.
func ExampleMain() {
	os.Exit(appflags.Main("hello", nil, func(t *reactor.Thread, a *app.App) error {
		fmt.Println("up on core", t.Reactor().Core())
		return nil
	}))
}
