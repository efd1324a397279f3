package vdso

import "encoding/binary"

const (
	jumpBytes = 5
	stubBytes = 40
	minutesAt = 32 // of a stub: one byte, signed
)

// stub is a clock_gettime(2) for amd64, as C calls it.
func stub() []byte {
	code := make([]byte, stubBytes)
	copy(code, []byte{
		0xb8, 0xe4, 0, 0, 0, // mov eax, 228: the system call
		0x0f, 0x05, // syscall: all but rax, rcx and r11 stay
		0x85, 0xc0, // test eax, eax
		0x75, 0x13, // jnz end: it failed
		0x85, 0xff, // test edi, edi
		0x75, 0x0f, // jnz end: another clock than CLOCK_REALTIME
		0x48, 0x0f, 0xbe, 0x0d, 9, 0, 0, 0, // movsx rcx, byte [rip+9]: the minutes
		0x48, 0x6b, 0xc9, 60, // imul rcx, rcx, 60
		0x48, 0x01, 0x0e, // add [rsi], rcx: the seconds
		0xc3, // end: ret
	})
	return code
}

// jump is one from an address to another, at most 2 GiB away.
func jump(from, to int64) []byte {
	return binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(int32(to-from-jumpBytes)))
}
