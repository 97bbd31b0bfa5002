package uring

import "unsafe"

// Sizes of the structures, in bytes. The assertions below fail to compile if one is wrong in either
// direction.
const (
	SizeofSQE            = 64
	SizeofCQE            = 16
	SizeofSqringOffsets  = 40
	SizeofCqringOffsets  = 40
	SizeofParams         = 120
	SizeofFilesUpdate    = 16
	SizeofRsrcRegister   = 32
	SizeofRsrcUpdate     = 16
	SizeofRsrcUpdate2    = 32
	SizeofProbeOp        = 8
	SizeofProbeHeader    = 16
	SizeofRestriction    = 16
	SizeofBuf            = 16
	SizeofBufReg         = 40
	SizeofBufStatus      = 40
	SizeofGeteventsArg   = 24
	SizeofSyncCancelReg  = 64
	SizeofFileIndexRange = 16
	SizeofRecvmsgOut     = 16
	SizeofTimespec       = 16
)

const (
	_ = -(unsafe.Sizeof(SQE{}) ^ SizeofSQE)
	_ = -(unsafe.Sizeof(CQE{}) ^ SizeofCQE)
	_ = -(unsafe.Sizeof(SqringOffsets{}) ^ SizeofSqringOffsets)
	_ = -(unsafe.Sizeof(CqringOffsets{}) ^ SizeofCqringOffsets)
	_ = -(unsafe.Sizeof(Params{}) ^ SizeofParams)
	_ = -(unsafe.Sizeof(FilesUpdate{}) ^ SizeofFilesUpdate)
	_ = -(unsafe.Sizeof(RsrcRegister{}) ^ SizeofRsrcRegister)
	_ = -(unsafe.Sizeof(RsrcUpdate{}) ^ SizeofRsrcUpdate)
	_ = -(unsafe.Sizeof(RsrcUpdate2{}) ^ SizeofRsrcUpdate2)
	_ = -(unsafe.Sizeof(ProbeOp{}) ^ SizeofProbeOp)
	_ = -(unsafe.Sizeof(ProbeHeader{}) ^ SizeofProbeHeader)
	_ = -(unsafe.Sizeof(Restriction{}) ^ SizeofRestriction)
	_ = -(unsafe.Sizeof(Buf{}) ^ SizeofBuf)
	_ = -(unsafe.Sizeof(BufReg{}) ^ SizeofBufReg)
	_ = -(unsafe.Sizeof(BufStatus{}) ^ SizeofBufStatus)
	_ = -(unsafe.Sizeof(GeteventsArg{}) ^ SizeofGeteventsArg)
	_ = -(unsafe.Sizeof(SyncCancelReg{}) ^ SizeofSyncCancelReg)
	_ = -(unsafe.Sizeof(FileIndexRange{}) ^ SizeofFileIndexRange)
	_ = -(unsafe.Sizeof(RecvmsgOut{}) ^ SizeofRecvmsgOut)
	_ = -(unsafe.Sizeof(Timespec{}) ^ SizeofTimespec)
)
