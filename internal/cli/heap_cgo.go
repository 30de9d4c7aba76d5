//go:build cgo && linux

package cli

// #include <malloc.h>
// #include <stdint.h>
// #include <stdlib.h>
// #include <sys/mman.h>
// #include <unistd.h>
//
// // XLA's CPU client has its memory of the C library, and glibc gives each large piece back when it is
// // freed: each call of an executable began with pages that the kernel had to clear, a tenth of the time
// // of training. Now what is freed is kept for what is asked for next. It is one heap for all threads,
// // since what one has freed another asks for: that takes less memory than one each. Before main, and so
// // before other threads have heaps of their own.
// //
// // The heap is laid out as far as it may soon grow, of which nothing is taken yet, for huge pages where
// // the system gives them to those who ask: to read weights takes fewer entries of the table of pages
// // (long texts in float32 are about 1.1 times as fast, others up to that).
// #ifdef __GLIBC__
// static void lay_out(void) {
// 	const size_t huge = (size_t)2 << 20, most = (size_t)256 << 30;
// 	size_t size = (size_t)sysconf(_SC_PHYS_PAGES) / 2 * (size_t)sysconf(_SC_PAGESIZE);
// 	if (size > most)
// 		size = most;
// 	char *from = malloc(size);
// 	if (from == NULL) // the process may not grow so far
// 		return;
// 	uintptr_t first = ((uintptr_t)from + huge - 1) & -huge, end = ((uintptr_t)from + size) & -huge;
// 	madvise((void *)first, end - first, MADV_HUGEPAGE);
// 	free(from);
// }
// #endif
//
// __attribute__((constructor)) static void keep_freed_memory(void) {
// #ifdef __GLIBC__
// 	mallopt(M_ARENA_MAX, 1);
// 	mallopt(M_MMAP_MAX, 0);
// 	mallopt(M_TRIM_THRESHOLD, -1);
// 	lay_out();
// #endif
// }
//
// static void give_back(void) {
// #ifdef __GLIBC__
// 	malloc_trim(0);
// 	lay_out();
// #endif
// }
import "C"

// giveBackMemory gives the system what is kept of freed memory, such as that of a model that was
// closed. It is called before one is loaded, which asks how much memory there is.
func giveBackMemory() { C.give_back() }
