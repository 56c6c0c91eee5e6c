// Proves that SYCL works here: the sum of squared differences of two frames,
// computed on a SYCL device and once more on the host.
//
//   sycl-smoke             a GPU where there is one, else the CPU
//   sycl-smoke cpu|gpu     that kind of device
//
// Ends with 0 where device and host agree, 1 where they do not, 2 where it was
// called wrongly, 3 where there is no such device.
//
// Any C++ compiler builds it: the kernel is OpenCL C, compiled at run time by
// the device's own compiler and launched by SYCL. (SYCL's own run-time compiler,
// libsycl-jit, reads the C++ library's headers when it runs, and a runtime image
// has none.) That is why only devices of the OpenCL backend are asked for.

#include <CL/cl.h>
#include <sycl/backend.hpp>
#include <sycl/sycl.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr std::size_t width = 320;
constexpr std::size_t height = 192;

// One work item a row: no atomics, so that it runs on anything.
constexpr const char *kernel_source = R"source(
kernel void squared_differences(global const uchar *reference, global const uchar *distorted,
                                global ulong *sums, uint width) {
    const size_t row = get_global_id(0);
    ulong sum = 0;
    for (uint column = 0; column < width; column++) {
        const int difference = (int)reference[row * width + column] - distorted[row * width + column];
        sum += difference * difference;
    }
    sums[row] = sum;
}
)source";

using Frame = std::vector<std::uint8_t>;

// The same picture on every machine: a linear congruential generator.
Frame frame(std::uint32_t seed) {
    Frame pixels(width * height);
    for (auto &pixel : pixels) {
        seed = seed * 1664525 + 1013904223;
        pixel = static_cast<std::uint8_t>(seed >> 24);
    }
    return pixels;
}

std::uint64_t on_host(const Frame &reference, const Frame &distorted) {
    return std::transform_reduce(
        reference.begin(), reference.end(), distorted.begin(), std::uint64_t{0}, std::plus{},
        [](int one, int other) { return static_cast<std::uint64_t>((one - other) * (one - other)); });
}

void check(cl_int code, const std::string &what) {
    if (code != CL_SUCCESS)
        throw std::runtime_error("OpenCL cannot " + what + ": error " + std::to_string(code));
}

sycl::kernel compiled(const sycl::queue &queue) {
    const auto context = sycl::get_native<sycl::backend::opencl>(queue.get_context());
    const auto device = sycl::get_native<sycl::backend::opencl>(queue.get_device());
    cl_int code = CL_SUCCESS;
    const char *source = kernel_source;
    cl_program program = clCreateProgramWithSource(context, 1, &source, nullptr, &code);
    check(code, "take the kernel");
    check(clBuildProgram(program, 1, &device, "", nullptr, nullptr), "compile the kernel");
    cl_kernel kernel = clCreateKernel(program, "squared_differences", &code);
    check(code, "find the kernel");
    return sycl::make_kernel<sycl::backend::opencl>(kernel, queue.get_context());
}

std::uint64_t on_device(sycl::queue &queue, const Frame &reference, const Frame &distorted) {
    const auto kernel = compiled(queue);
    auto *one = sycl::malloc_device<std::uint8_t>(reference.size(), queue);
    auto *other = sycl::malloc_device<std::uint8_t>(distorted.size(), queue);
    auto *sums = sycl::malloc_device<std::uint64_t>(height, queue);
    queue.copy(reference.data(), one, reference.size()).wait_and_throw();
    queue.copy(distorted.data(), other, distorted.size()).wait_and_throw();
    queue.submit([&](sycl::handler &handler) {
        handler.set_args(one, other, sums, static_cast<std::uint32_t>(width));
        handler.parallel_for(sycl::range<1>{height}, kernel);
    }).wait_and_throw();
    std::vector<std::uint64_t> rows(height);
    queue.copy(sums, rows.data(), height).wait_and_throw();
    sycl::free(one, queue);
    sycl::free(other, queue);
    sycl::free(sums, queue);
    return std::accumulate(rows.begin(), rows.end(), std::uint64_t{0});
}

const char *kind(const sycl::device &device) { return device.is_gpu() ? "gpu" : device.is_cpu() ? "cpu" : "other"; }

// The devices of one kind, or of all, a GPU first.
std::vector<sycl::device> devices(const std::string &wanted) {
    auto found = sycl::device::get_devices();
    std::erase_if(found, [&](const sycl::device &device) {
        return device.get_backend() != sycl::backend::opencl || !(wanted.empty() || wanted == kind(device));
    });
    std::stable_partition(found.begin(), found.end(), [](const auto &device) { return device.is_gpu(); });
    return found;
}

} // namespace

int main(int count, char **words) {
    const std::string wanted = count > 1 ? words[1] : "";
    if (count > 2 || !(wanted.empty() || wanted == "cpu" || wanted == "gpu")) {
        std::cerr << "usage: sycl-smoke [cpu|gpu]\n";
        return 2;
    }
    try {
        const auto found = devices(wanted);
        if (found.empty()) {
            std::cerr << "sycl-smoke: there is no SYCL " << (wanted.empty() ? "device" : wanted) << " here\n";
            return 3;
        }
        sycl::queue queue{found.front()};
        const Frame reference = frame(1);
        const Frame distorted = frame(2);
        const auto expected = on_host(reference, distorted);
        const auto computed = on_device(queue, reference, distorted);
        std::cout << "device: " << found.front().get_info<sycl::info::device::name>() << " (" << kind(found.front())
                  << ")\nsum of squared differences: " << computed << "\nreference: " << expected << "\n";
        return computed == expected ? 0 : 1;
    } catch (const std::exception &failure) {
        std::cerr << "sycl-smoke: " << failure.what() << "\n";
        return 1;
    }
}
