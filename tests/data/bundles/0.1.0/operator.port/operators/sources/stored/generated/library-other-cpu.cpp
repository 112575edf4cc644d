// Generated: the operators of the domain stored.
#include "library.h"

extern "C" const modelport::KernelTable modelport_kernels_tilt_cpu_0;

namespace modelport {
namespace {
constexpr AttributeInfo attributes_0[] = {
    {"slope", Kind::real, false, {0, 0.25, "", {}, {}, {}}},
};
constexpr const char* inputs_0[] = {"x", };
constexpr const char* outputs_0[] = {"output", };
constexpr NodeInput node_inputs_0[] = {{false, 0}, };

constexpr OperatorInfo operators[] = {
    {"tilt",
     {inputs_0, 1},
     {outputs_0, 1},
     {attributes_0, 1},
     {node_inputs_0, 1}},
};

const CompiledTable tables[] = {
    {0, "cpu", 0, &modelport_kernels_tilt_cpu_0},
};
}  // namespace

const LibraryInfo library{
    "stored",
    0,
    {operators, 1},
    {tables, 1},
};
}  // namespace modelport
