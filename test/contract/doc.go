// Package contract holds the RPCs to what SPDK's own tools send and read.
//
// testdata has the bytes that rpc.py, spdkcli.py and spdk_top of SPDK, all unmodified, exchanged with spdk_tgt. The
// tests send the same requests again, in the same order, and want answers with the same fields and types: what the
// tools did with the answers then, they do with those of today.
//
// To record again, with the sources of SPDK in a folder of their own (nothing of them is copied here):
//
//	git clone https://github.com/spdk/spdk
//	go run ./test/contract/record -rpcpy spdk/scripts/rpc.py
//
// rpc.py wants Python 3.9 and nothing else. It is run once for each command of [Commands], and has to succeed, or the
// recording fails. For the others there is
//
//	go run ./test/contract/record -python /usr/bin/python3 -spdkcli spdk/scripts/spdkcli.py
//	go run ./test/contract/record -spdktop spdk/build/bin/spdk_top
//
// of which the first wants configshell-fb and pyparsing (Debian's python3-configshell-fb), and the second runs spdk_top
// in a terminal of its own, for two seconds.
package contract
