// Generated: the kernels of stored::tilt in kernel.cpp.
#include <modelport/table.h>

#include "../kernels/tilt/kernel.cpp"

namespace {
constexpr modelport::Kernel kernels[] = {
    modelport::kernel<&tilt<float>>(),
};
}  // namespace

extern "C" const modelport::KernelTable MODELPORT_TABLE;
extern "C" const modelport::KernelTable MODELPORT_TABLE{kernels, 1};
