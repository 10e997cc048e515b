// fdatasync of the C library, DELAY_NS nanoseconds longer.
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int fd) {
	struct timespec left = {0, DELAY_NS};
	while (nanosleep(&left, &left) != 0) { // a signal has interrupted it
	}
	return syscall(SYS_fdatasync, fd);
}
