//go:build race

package mempool

const verifyDefault = true
