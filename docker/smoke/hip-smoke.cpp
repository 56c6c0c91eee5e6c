// The sum of squared differences of two frames, on the GPU and on the CPU.
//
// Exits 0 and prints the device and the sum where both agree; 1 where they do not
// or HIP fails; 3 where there is no device.

#include <hip/hip_runtime.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr unsigned width = 1920, height = 1080, pixels = width * height;
constexpr unsigned threads = 256;

enum Exit { agrees = 0, wrong = 1, no_device = 3 };

// Each thread takes every n-th pixel, and adds its share once.
__global__ void squared_differences(const uint8_t *one, const uint8_t *other,
                                    unsigned long long *sum) {
    unsigned long long mine = 0;
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < pixels;
         i += gridDim.x * blockDim.x) {
        const int difference = int(one[i]) - int(other[i]);
        mine += static_cast<unsigned long long>(difference * difference);
    }
    atomicAdd(sum, mine);
}

void must(hipError_t error, const char *what) {
    if (error == hipSuccess) return;
    std::fprintf(stderr, "hip-smoke: %s: %s\n", what, hipGetErrorString(error));
    std::exit(wrong);
}

}  // namespace

int main() {
    int devices = 0;
    const hipError_t found = hipGetDeviceCount(&devices);
    if (found == hipErrorNoDevice || found == hipErrorInsufficientDriver ||
        (found == hipSuccess && devices == 0)) {
        std::fprintf(stderr,
                     "hip-smoke: no AMD GPU: run the container with --device=/dev/kfd "
                     "--device=/dev/dri on a machine that has one\n");
        return no_device;
    }
    must(found, "counting the devices");
    hipDeviceProp_t device;
    must(hipGetDeviceProperties(&device, 0), "asking for the device's name");

    std::vector<uint8_t> one(pixels), other(pixels);
    unsigned long long expected = 0;
    for (unsigned i = 0; i < pixels; i++) {
        one[i] = uint8_t(i % width + i / width);
        other[i] = uint8_t(one[i] * 7 / 8 + i % 5);
        const int difference = int(one[i]) - int(other[i]);
        expected += static_cast<unsigned long long>(difference * difference);
    }

    uint8_t *frames = nullptr;
    unsigned long long *sum = nullptr, result = 0;
    must(hipMalloc(&frames, 2 * pixels), "memory for the frames");
    must(hipMalloc(&sum, sizeof *sum), "memory for the sum");
    must(hipMemcpy(frames, one.data(), pixels, hipMemcpyHostToDevice), "copying a frame");
    must(hipMemcpy(frames + pixels, other.data(), pixels, hipMemcpyHostToDevice),
         "copying a frame");
    must(hipMemset(sum, 0, sizeof *sum), "clearing the sum");
    squared_differences<<<512, threads>>>(frames, frames + pixels, sum);
    must(hipGetLastError(), "starting the kernel (is it compiled for this GPU?)");
    must(hipMemcpy(&result, sum, sizeof result, hipMemcpyDeviceToHost), "reading the sum");
    must(hipFree(sum), "freeing");
    must(hipFree(frames), "freeing");

    std::printf("hip-smoke: %s (%s): sum of squared differences %llu, expected %llu\n",
                device.name, device.gcnArchName, result, expected);
    return result == expected ? agrees : wrong;
}
