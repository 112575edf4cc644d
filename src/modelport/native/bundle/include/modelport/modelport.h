/* Bundles from C, and from every language that calls C.
 *
 * A function that can fail returns a modelport_error, or NULL where all went well; the caller
 * releases it. What a function hands out by a last argument is the caller's to release, too.
 * Engines and batchers may be used from any number of threads at once. Strings are UTF-8.
 */
#ifndef MODELPORT_MODELPORT_H
#define MODELPORT_MODELPORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct modelport_error modelport_error;
typedef struct modelport_engine modelport_engine;
typedef struct modelport_outputs modelport_outputs;
typedef struct modelport_batcher modelport_batcher;

/* ---- Errors: what, where, why, and what to do about it ---- */

typedef enum modelport_error_kind {
  MODELPORT_USAGE_ERROR = 1,    /* wrong use: an unknown option, a missing file */
  MODELPORT_OPERATOR_ERROR = 2, /* a library of operators does not fit this machine */
  MODELPORT_BUILD_ERROR = 3,    /* the runtime does not take the graph, or is not there */
  MODELPORT_RUN_ERROR = 4,      /* inputs that the model does not take, or a run that failed */
  MODELPORT_BUNDLE_ERROR = 5    /* the bundle is altered, incomplete, not trusted, or newer */
} modelport_error_kind;

modelport_error_kind modelport_error_get_kind(const modelport_error* error);
/* The parts of an error; where, why and fix are "" where there is nothing to say. */
const char* modelport_error_what(const modelport_error* error);
const char* modelport_error_where(const modelport_error* error);
const char* modelport_error_why(const modelport_error* error);
const char* modelport_error_fix(const modelport_error* error);
/* All parts, a line each. */
const char* modelport_error_text(const modelport_error* error);
void modelport_error_release(modelport_error* error);

/* ---- Tensors ---- */

/* Types of elements, by ONNX's numbers. float16 and bfloat16 are two bytes each. */
typedef enum modelport_dtype {
  MODELPORT_FLOAT32 = 1,
  MODELPORT_UINT8 = 2,
  MODELPORT_INT8 = 3,
  MODELPORT_UINT16 = 4,
  MODELPORT_INT16 = 5,
  MODELPORT_INT32 = 6,
  MODELPORT_INT64 = 7,
  MODELPORT_STRING = 8,
  MODELPORT_BOOL = 9,
  MODELPORT_FLOAT16 = 10,
  MODELPORT_FLOAT64 = 11,
  MODELPORT_UINT32 = 12,
  MODELPORT_UINT64 = 13,
  MODELPORT_BFLOAT16 = 16
} modelport_dtype;

/* A tensor in memory that somebody else holds: C-contiguous elements, or, for strings, an array of
 * `const char*`. */
typedef struct modelport_tensor {
  const char* name;
  modelport_dtype dtype;
  const int64_t* shape;
  size_t rank;
  const void* data;
} modelport_tensor;

/* One axis of an input or output. */
typedef struct modelport_axis {
  int64_t size;     /* -1 where it is dynamic */
  const char* name; /* of the dynamic dimension; "" where the size is fixed */
  int64_t min;      /* the declared range of a dynamic dimension */
  int64_t max;      /* -1 where there is no bound */
  int64_t multiple; /* what every size is a multiple of; 1 where it is of nothing else */
} modelport_axis;

/* What an input or output is declared as. */
typedef struct modelport_spec {
  const char* name;
  modelport_dtype dtype;
  const modelport_axis* axes; /* NULL where the rank is not known */
  size_t rank;
} modelport_spec;

/* ---- Engines ---- */

typedef struct modelport_load_options {
  const char* target;             /* one of the bundle's; NULL: its first */
  const char* onnxruntime;        /* file of ONNX Runtime's library; NULL: $MODELPORT_ONNXRUNTIME,
                                     else libonnxruntime.so as the system finds it */
  int trust;                      /* not 0: load code (libraries, engines) that this user did not
                                     build on this machine, and no known key signed */
  const char* key;                /* PEM file with a public ed25519 key that must have signed it */
  int threads;                    /* within an operator; 0: one a core; -1: as the bundle says */
  int spinning;                   /* whether threads wait busily; -1: as the bundle says */
  const char* graph_optimization; /* "none", "basic", "extended", "all"; NULL: as it says */
} modelport_load_options;

#define MODELPORT_LOAD_OPTIONS {NULL, NULL, 0, NULL, -1, -1, NULL}

/* Opens a bundle (a directory or a zip file), verifies it, and opens its engine for a target.
 * `options` may be NULL. */
modelport_error* modelport_load(const char* path, const modelport_load_options* options, modelport_engine** engine);
/* Batchers and outputs that were made from it stay valid. */
void modelport_engine_release(modelport_engine* engine);

const char* modelport_engine_target(const modelport_engine* engine);
/* Such as "ONNX Runtime 1.22.0". */
const char* modelport_engine_runtime(const modelport_engine* engine);
size_t modelport_engine_input_count(const modelport_engine* engine);
size_t modelport_engine_output_count(const modelport_engine* engine);
/* Valid as long as the engine; `index` must be below the count. */
modelport_spec modelport_engine_input(const modelport_engine* engine, size_t index);
modelport_spec modelport_engine_output(const modelport_engine* engine, size_t index);

/* Runs the model once. The inputs are read where they lie, in any order; `wanted` names the outputs
 * to compute, all of them where it is NULL. */
modelport_error* modelport_run(const modelport_engine* engine, const modelport_tensor* inputs, size_t input_count,
                               const char* const* wanted, size_t wanted_count, modelport_outputs** outputs);

size_t modelport_outputs_count(const modelport_outputs* outputs);
/* Valid as long as the outputs; `index` must be below the count. */
modelport_tensor modelport_outputs_get(const modelport_outputs* outputs, size_t index);
void modelport_outputs_release(modelport_outputs* outputs);

/* ---- Many requests, run together ---- */

/* Either `error` or `outputs` is NULL; the other one is the receiver's to release. Called once a
 * request, from the thread of `modelport_submit` or from the batcher's own. */
typedef void (*modelport_done)(void* user, modelport_error* error, modelport_outputs* outputs);

/* Requests are put together along the first axis, which must be one dynamic dimension in all inputs
 * and outputs, up to `max_batch`; the first request waits at most `max_delay_us` microseconds for
 * others. */
modelport_error* modelport_batcher_create(const modelport_engine* engine, size_t max_batch, int64_t max_delay_us,
                                          modelport_batcher** batcher);
/* Copies the inputs and returns; whatever happens then, failures included, `done` is told. */
void modelport_submit(modelport_batcher* batcher, const modelport_tensor* inputs, size_t input_count,
                      modelport_done done, void* user);
/* Runs what was submitted before, then ends. Not to be called from `done`. */
void modelport_batcher_release(modelport_batcher* batcher);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
