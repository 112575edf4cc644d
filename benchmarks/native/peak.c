/* What this processor multiplies and adds at most, in registers alone: floats, and 8 bits. */
#include <immintrin.h>

#define CHAINS 12

/* Products of float32 that `rounds` rounds make, added up. */
double peak_fp32(long rounds, float* out) {
#ifdef __AVX512F__
  __m512 sums[CHAINS], x = _mm512_set1_ps(1.0000001f), y = _mm512_set1_ps(1e-9f);
  for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_set1_ps(i);
  for (long round = 0; round < rounds; round++)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_fmadd_ps(sums[i], x, y);
  for (int i = 0; i < CHAINS; i++) *out += _mm512_reduce_add_ps(sums[i]);
  return 16.0 * CHAINS * rounds;
#else
  __m256 sums[CHAINS], x = _mm256_set1_ps(1.0000001f), y = _mm256_set1_ps(1e-9f);
  for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_set1_ps(i);
  for (long round = 0; round < rounds; round++)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_fmadd_ps(sums[i], x, y);
  for (int i = 0; i < CHAINS; i++) *out += sums[i][0];
  return 8.0 * CHAINS * rounds;
#endif
}

/* Products of uint8 with int8, added up in int32, that `rounds` rounds make. */
double peak_int8(long rounds, float* out) {
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
  __m512i sums[CHAINS], x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5);
  for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_set1_epi32(i);
  for (long round = 0; round < rounds; round++)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) sums[i] = _mm512_dpbusd_epi32(sums[i], x, y);
  for (int i = 0; i < CHAINS; i++) *out += _mm512_reduce_add_epi32(sums[i]);
  return 64.0 * CHAINS * rounds;
#else
  __m256i sums[CHAINS], x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(5);
  __m256i ones = _mm256_set1_epi16(1);
  for (int i = 0; i < CHAINS; i++) sums[i] = _mm256_set1_epi32(i);
  for (long round = 0; round < rounds; round++)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) {
      /* Kept from being computed once for all rounds. */
      __asm__("" : "+x"(x));
      __m256i pairs = _mm256_maddubs_epi16(x, y);
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(pairs, ones));
    }
  for (int i = 0; i < CHAINS; i++) *out += _mm256_extract_epi32(sums[i], 0);
  return 32.0 * CHAINS * rounds;
#endif
}
