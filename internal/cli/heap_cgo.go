//go:build cgo && linux

package cli

// #include <malloc.h>
//
// // XLA's CPU client has its memory of the C library, and glibc gives each large piece back when it is
// // freed: each call of an executable began with pages that the kernel had to clear, a tenth of the time
// // of training. Now what is freed is kept for what is asked for next. It is one heap for all threads,
// // since what one has freed another asks for: that takes less memory than one each. Before main, and so
// // before other threads have heaps of their own.
// __attribute__((constructor)) static void keep_freed_memory(void) {
// #ifdef __GLIBC__
// 	mallopt(M_ARENA_MAX, 1);
// 	mallopt(M_MMAP_MAX, 0);
// 	mallopt(M_TRIM_THRESHOLD, -1);
// #endif
// }
//
// static void give_back(void) {
// #ifdef __GLIBC__
// 	malloc_trim(0);
// #endif
// }
import "C"

// giveBackMemory gives the system what is kept of freed memory, such as that of a model that was
// closed. It is called before one is loaded, which asks how much memory there is.
func giveBackMemory() { C.give_back() }
