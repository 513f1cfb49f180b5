/* The start of a static, position independent program on x86-64: what musl's rcrt1.o does, and relative relocations in
 * packed form (DT_RELR), of which musl knows from 1.2.4 on. They take 8 octets where there are up to 63 of them. */
#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#ifndef DT_RELR
#define DT_RELRSZ 35
#define DT_RELR 36
#endif

#define HIDDEN __attribute__((visibility("hidden")))

extern HIDDEN const Elf64_Dyn _DYNAMIC[];
extern HIDDEN char __ehdr_start[]; /* linked at 0, so its address is what is added */
int main(int, char **, char **);
void _init(void), _fini(void);
int __libc_start_main(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void));

__asm__(".text\n.global _start\n_start:\n"
	"	xor %ebp, %ebp\n	mov %rsp, %rdi\n	and $-16, %rsp\n	call start_here\n");

/* Nothing that needs a relocation is touched before the end. */
HIDDEN void start_here(size_t *stack)
{
	char *base = __ehdr_start;
	size_t tags[DT_RELR + 1] = {0};
	for (const Elf64_Dyn *each = _DYNAMIC; each->d_tag != DT_NULL; each++)
		if ((size_t)each->d_tag <= DT_RELR)
			tags[each->d_tag] = each->d_un.d_val;

	const Elf64_Rela *rela = (const Elf64_Rela *)(base + tags[DT_RELA]);
	for (size_t left = tags[DT_RELASZ] / sizeof *rela; left; left--, rela++)
		if (ELF64_R_TYPE(rela->r_info) == R_X86_64_RELATIVE)
			*(size_t *)(base + rela->r_offset) = (size_t)base + (size_t)rela->r_addend;

	/* An even entry is the place of one; an odd one has a bit for each of the 63 places after those before it. */
	const size_t *relr = (const size_t *)(base + tags[DT_RELR]);
	size_t *place = 0;
	for (size_t left = tags[DT_RELRSZ] / sizeof *relr; left; left--, relr++) {
		if (*relr % 2 == 0) {
			place = (size_t *)(base + *relr);
			*place++ += (size_t)base;
			continue;
		}
		for (size_t bit = 0, bits = *relr >> 1; bits; bit++, bits >>= 1)
			if (bits & 1)
				place[bit] += (size_t)base;
		place += 63;
	}
	__libc_start_main(main, (int)*stack, (char **)(stack + 1), _init, _fini, 0);
}
