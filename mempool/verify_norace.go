//go:build !race

package mempool

const verifyDefault = false
