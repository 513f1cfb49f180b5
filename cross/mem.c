/* Copying and comparing memory on x86-64, in place of musl's: that copies with string instructions, which take some thirty
 * cycles to begin and backwards go octet by octet, and compares octet by octet. With vectors that every x86-64 has (SSE2), at
 * any address. Each part is loaded whole before any of it is stored, so memmove is memcpy. */
#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef unsigned char u8;
typedef uint16_t __attribute__((may_alias, aligned(1))) u16;
typedef uint32_t __attribute__((may_alias, aligned(1))) u32;
typedef uint64_t __attribute__((may_alias, aligned(1))) u64;
typedef __m128i_u v16;
typedef struct { v16 a, b, c, d; } v64;

static inline v64 load(const u8 *from)
{
	const v16 *at = (const v16 *)from;
	return (v64){at[0], at[1], at[2], at[3]};
}

static inline void store(u8 *to, v64 value)
{
	v16 *at = (v16 *)to;
	at[0] = value.a, at[1] = value.b, at[2] = value.c, at[3] = value.d;
}

/* What is no shorter than one of the type and no longer than two: its two ends. */
#define COPY_ENDS(type) do { \
		type first = *(const type *)s, last = *(const type *)(s + n - sizeof(type)); \
		*(type *)d = first; \
		*(type *)(d + n - sizeof(type)) = last; \
	} while (0)

void *memmove(void *to, const void *from, size_t n)
{
	u8 *d = to;
	const u8 *s = from;
	if (n > 128) {
		if ((uintptr_t)d - (uintptr_t)s >= n) {
			v64 end = load(s + n - 64);
			for (size_t at = 0; at < n - 64; at += 64)
				store(d + at, load(s + at));
			store(d + n - 64, end);
		} else {
			v64 start = load(s);
			for (size_t at = n - 64; at > 0; at = at > 64 ? at - 64 : 0)
				store(d + at, load(s + at));
			store(d, start);
		}
	} else if (n > 64) {
		v64 first = load(s), last = load(s + n - 64);
		store(d, first);
		store(d + n - 64, last);
	} else if (n > 32) {
		const v16 *one = (const v16 *)s, *two = (const v16 *)(s + n - 32);
		v16 a = one[0], b = one[1], c = two[0], e = two[1];
		v16 *first = (v16 *)d, *last = (v16 *)(d + n - 32);
		first[0] = a, first[1] = b, last[0] = c, last[1] = e;
	} else if (n >= 16)
		COPY_ENDS(v16);
	else if (n >= 8)
		COPY_ENDS(u64);
	else if (n >= 4)
		COPY_ENDS(u32);
	else if (n >= 2)
		COPY_ENDS(u16);
	else if (n)
		*d = *s;
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n) __attribute__((alias("memmove")));

int memcmp(const void *one, const void *other, size_t n)
{
	const u8 *a = one, *b = other;
	for (; n >= 16; a += 16, b += 16, n -= 16) {
		unsigned same = _mm_movemask_epi8(_mm_cmpeq_epi8(*(const v16 *)a, *(const v16 *)b));
		if (same != 0xffff) {
			unsigned at = __builtin_ctz(~same);
			return a[at] - b[at];
		}
	}
	if (n >= 8) {
		u64 x = *(const u64 *)a, y = *(const u64 *)b;
		if (x != y)
			return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
		a += 8, b += 8, n -= 8;
	}
	for (; n; a++, b++, n--)
		if (*a != *b)
			return *a - *b;
	return 0;
}

int bcmp(const void *one, const void *other, size_t n) __attribute__((alias("memcmp")));
