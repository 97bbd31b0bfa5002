package ebpfmon

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// Where the programs of the scheduler keep what survives calls and long ways, on their stacks.
const (
	stackNow       = -8  // CLOCK_MONOTONIC, ns
	stackCPU       = -16 // the CPU's number
	stackPreempted = -24 // 1 if the thread that leaves would have gone on
	stackSlot      = -32 // a reactor's number
)

// schedSwitch is run at tracepoint sched_switch: on a CPU, the scheduler has decided that the thread prev leaves and
// next comes. It runs for every switch on the machine. Those that have nothing to do with a reactor cost two reads of
// a thread group and one of the CPU's entry.
//
//	r6: the arguments, later free; r7: prev; r8: next; r9: the CPU's entry
func schedSwitch(k *kernel, tgid int32, cpus int) asm.Instructions {
	b := &builder{}
	b.add(
		asm.Mov.Reg(r6, r1),
		asm.LoadMem(r7, r6, 8, u64),
		asm.LoadMem(r8, r6, 16, u64),
		asm.FnGetSmpProcessorId.Call(),
		asm.StoreMem(fp, stackCPU, r0, u64),
	)
	b.cpuEntry(r9, r0, cpus)

	// Whom does it concern: a reactor that waits for this CPU, or a thread of this process that leaves, or comes.
	b.add(
		asm.LoadMem(r1, r9, offCPUSlot, u32),
		asm.JNE.Imm(r1, 0, "concerns"),
		asm.LoadMem(r1, r7, k.tgid, u32),
		asm.JEq.Imm(r1, tgid, "concerns"),
		asm.LoadMem(r1, r8, k.tgid, u32),
		asm.JNE.Imm(r1, tgid, "exit"),
	)
	b.at("concerns")
	b.add(
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(fp, stackNow, r0, u64),
	)
	b.preempted(k)
	b.charge(k)
	b.leave(k, tgid)
	b.enter(k, tgid)
	return b.end()
}

// cpuEntry points dst to the entry of the CPU whose number is in n, which is lost.
func (b *builder) cpuEntry(dst, n asm.Register, cpus int) {
	b.add(
		asm.And.Imm(n, int32(cpus-1)),
		asm.Mul.Imm(n, int32(sizeCPU)),
		mapValue(dst, mapShared, sizeShared),
		asm.Add.Reg(dst, n),
	)
}

// preempted puts down whether prev would have gone on: the kernel was told to switch at once (argument preempt), or
// prev's state is 0, runnable, which that of a thread that sleeps is not, unless somebody has woken it since. The
// argument prev_state is the state from before that, and only there from Linux 5.18 on.
func (b *builder) preempted(k *kernel) {
	b.add(
		asm.StoreImm(fp, stackPreempted, 1, u32),
		asm.LoadMem(r1, r6, 0, u64),
		asm.JNE.Imm(r1, 0, "known"),
		asm.LoadMem(r1, r7, k.state, u32),
		asm.JEq.Imm(r1, 0, "known"),
		asm.StoreImm(fp, stackPreempted, 0, u32),
	)
	b.at("known")
}

// charge puts the time since the last switch on prev's account, if a reactor waits for this CPU.
func (b *builder) charge(k *kernel) {
	b.add(
		asm.LoadMem(r1, r9, offCPUSlot, u32),
		asm.JEq.Imm(r1, 0, "charged"),
		asm.Add.Imm(r1, -1),
	)
	b.reactor(r5, r1)
	// It may have gone to another CPU meanwhile, which nobody has told this one; or it runs itself, and its coming was not
	// reported.
	b.add(
		asm.LoadMem(r1, r5, offTID, u32),
		asm.LoadMem(r2, r7, k.pid, u32),
		asm.JEq.Reg(r1, r2, "gone"),
		asm.LoadMem(r1, r5, offCPU, u32),
		asm.LoadMem(r2, fp, stackCPU, u64),
		asm.JNE.Reg(r1, r2, "gone"),
		asm.LoadMem(r1, r5, offState, u32),
		asm.JEq.Imm(r1, int32(Preempted), "waits"),
		asm.JEq.Imm(r1, int32(Woken), "waits"),
	)
	b.at("gone")
	b.add(
		asm.StoreImm(r9, offCPUSlot, 0, u32),
		asm.Ja.Label("charged"),
	)
	b.at("waits")
	b.add(
		asm.LoadMem(r4, fp, stackNow, u64),
		asm.LoadMem(r2, r9, offCPUSince, u64),
		asm.StoreMem(r9, offCPUSince, r4, u64),
		asm.Sub.Reg(r4, r2), // what is to be charged
		asm.LoadMem(r1, r7, k.tgid, u32),
		asm.Add.Imm(r1, 1),
	)
	b.account()
	// The name is that of the process, whichever of its threads it was. It may have changed.
	b.add(
		asm.AddAtomic.Mem(r0, r4, u64, offTakerNS),
		asm.Mov.Imm(r1, 1),
		asm.AddAtomic.Mem(r0, r1, u64, offTakerCount),
		asm.LoadMem(r1, r7, k.groupLeader, u64),
		asm.LoadMem(r2, r1, k.comm, u64),
		asm.StoreMem(r0, offTakerComm, r2, u64),
		asm.LoadMem(r2, r1, k.comm+8, u64),
		asm.StoreMem(r0, offTakerComm+8, r2, u64),
	)
	b.at("charged")
}

// account points r0 to the account, with the reactor at r5, of the process with the key in r1. One that is new takes a
// free place, or else that of who has taken the least among those that it may have: what that was is added up apart.
// r2, r3 and r6 are lost.
func (b *builder) account() {
	place := func(dst asm.Register, i int) {
		b.add(
			asm.Mov.Reg(dst, r1),
			asm.Add.Imm(dst, int32(i)),
			asm.And.Imm(dst, maxTakers-1),
			asm.Mul.Imm(dst, int32(sizeTaker)),
			asm.Add.Reg(dst, r5),
			asm.Add.Imm(dst, int32(offTakers)),
		)
	}
	for i := range takerProbes {
		place(r0, i)
		b.add(
			asm.LoadMem(r2, r0, 0, u32),
			asm.JEq.Reg(r2, r1, "account"),
			asm.JEq.Imm(r2, 0, "open"),
		)
	}
	place(r0, 0)
	b.add(asm.LoadMem(r2, r0, offTakerNS, u64))
	for i := 1; i < takerProbes; i++ {
		next := fmt.Sprintf("least_%d", i)
		place(r3, i)
		b.add(
			asm.LoadMem(r6, r3, offTakerNS, u64),
			asm.JGE.Reg(r6, r2, next),
			asm.Mov.Reg(r0, r3),
			asm.Mov.Reg(r2, r6),
		)
		b.at(next)
	}
	b.add(
		asm.AddAtomic.Mem(r5, r2, u64, offOther),
		asm.Mov.Imm(r2, 0),
		asm.StoreMem(r0, offTakerNS, r2, u64),
		asm.StoreMem(r0, offTakerCount, r2, u64),
	)
	b.at("open")
	b.add(asm.StoreMem(r0, 0, r1, u32))
	b.at("account")
}

// reactorOf points r5 to the reactor that task is, with its number in r6, or goes to other if it is none of process
// tgid.
func (b *builder) reactorOf(k *kernel, task asm.Register, tgid int32, name, other string) {
	b.add(
		asm.LoadMem(r1, task, k.tgid, u32),
		asm.JNE.Imm(r1, tgid, other),
		asm.LoadMem(r1, task, k.pid, u32),
	)
	b.lookupThread(name, other)
	b.add(
		asm.LoadMem(r6, r0, offIndexSlot, u32),
		asm.Mov.Reg(r1, r6),
	)
	b.reactor(r5, r1)
}

// leave notes that a reactor is off the CPU from now on, if prev is one.
func (b *builder) leave(k *kernel, tgid int32) {
	b.reactorOf(k, r7, tgid, "leave", "left")
	b.add(
		asm.LoadMem(r1, fp, stackNow, u64),
		asm.StoreMem(r5, offSince, r1, u64),
		asm.LoadMem(r2, fp, stackPreempted, u32),
		asm.JNE.Imm(r2, 0, "wants"),
		asm.StoreImm(r5, offState, int64(Asleep), u32),
		asm.Ja.Label("left"),
	)
	b.at("wants") // and so who comes is to be charged
	b.add(
		asm.StoreImm(r5, offState, int64(Preempted), u32),
		asm.LoadMem(r2, fp, stackCPU, u64),
		asm.StoreMem(r5, offCPU, r2, u32),
		asm.StoreMem(r9, offCPUSince, r1, u64),
		asm.Add.Imm(r6, 1),
		asm.StoreMem(r9, offCPUSlot, r6, u32),
	)
	b.at("left")
}

// enter notes that a reactor is back, if next is one, and for how long it was away.
func (b *builder) enter(k *kernel, tgid int32) {
	b.reactorOf(k, r8, tgid, "enter", "exit")
	b.add(
		asm.Add.Imm(r6, 1),
		asm.LoadMem(r1, r9, offCPUSlot, u32),
		asm.JNE.Reg(r1, r6, "taken"),
		asm.StoreImm(r9, offCPUSlot, 0, u32),
	)
	b.at("taken")
	b.add(
		asm.LoadMem(r3, r5, offState, u32),
		asm.StoreImm(r5, offState, int64(Running), u32),
		asm.LoadMem(r1, fp, stackNow, u64),
		asm.LoadMem(r2, r5, offSince, u64),
		asm.StoreMem(r5, offSince, r1, u64),
		asm.Sub.Reg(r1, r2),
		asm.JEq.Imm(r3, int32(Running), "exit"), // it was away already when the programs came
		asm.Mov.Imm(r2, int32(offPreempted)),
		asm.JEq.Imm(r3, int32(Preempted), "which"),
		asm.Mov.Imm(r2, int32(offRunqueue)),
		asm.JEq.Imm(r3, int32(Woken), "which"),
		asm.Mov.Imm(r2, int32(offVoluntary)), // asleep: its wake-up was missed
	)
	b.at("which")
	b.add(asm.Add.Reg(r5, r2))
	b.count("enter")
}

// schedWakeup is run at tracepoint sched_wakeup: a thread has become runnable. If it is a reactor that slept, its sleep
// ends here, and its wait for the CPU begins.
//
//	r7: the thread; r8: its reactor; r9: now
func schedWakeup(k *kernel, tgid int32, cpus int) asm.Instructions {
	b := &builder{}
	b.add(
		asm.LoadMem(r7, r1, 0, u64),
		asm.LoadMem(r1, r7, k.tgid, u32),
		asm.JNE.Imm(r1, tgid, "exit"),
		asm.LoadMem(r1, r7, k.pid, u32),
	)
	b.lookupThread("wake", "exit")
	b.add(
		asm.LoadMem(r1, r0, offIndexSlot, u32),
		asm.StoreMem(fp, stackSlot, r1, u64),
	)
	b.reactor(r8, r1)
	b.add( // one that was about to sleep, but has not left its CPU, goes on as if nothing had happened
		asm.LoadMem(r1, r8, offState, u32),
		asm.JNE.Imm(r1, int32(Asleep), "exit"),
		asm.FnKtimeGetNs.Call(),
		asm.Mov.Reg(r9, r0),
		asm.StoreImm(r8, offState, int64(Woken), u32),
	)
	if k.cpu >= 0 { // who runs there now keeps it from going on
		b.add(
			asm.LoadMem(r1, r7, k.cpu, u32),
			asm.StoreMem(r8, offCPU, r1, u32),
		)
		b.cpuEntry(r2, r1, cpus)
		b.add(
			asm.StoreMem(r2, offCPUSince, r9, u64),
			asm.LoadMem(r1, fp, stackSlot, u64),
			asm.Add.Imm(r1, 1),
			asm.StoreMem(r2, offCPUSlot, r1, u32),
		)
	}
	b.add(
		asm.LoadMem(r2, r8, offSince, u64),
		asm.StoreMem(r8, offSince, r9, u64),
		asm.Mov.Reg(r1, r9),
		asm.Sub.Reg(r1, r2),
		asm.Mov.Reg(r5, r8),
		asm.Add.Imm(r5, int32(offVoluntary)),
	)
	b.count("wake")
	return b.end()
}
