# shellcheck shell=sh disable=SC2154
# Sourced: the files of oneAPI that an image has. The caller defines `keep WHEEL FILE...`, which
# puts them into its $lib; $out is the caller's /out/oneapi.

# ELF dependencies of the SYCL runtime and the OpenCL device.
keep intel_sycl_rt 'libsycl.so.?'
keep intel_cmplr_lib_ur libur_loader.so.0
keep intel_cmplr_lib_rt libsvml.so libirng.so libimf.so libintlc.so.5
keep umf libumf.so.1
keep tcmlib libhwloc.so.15
keep tbb libtbb.so.12
keep intel_opencl_rt 'libcommon_clang.so.*'
# Opened by name at run time:
# - SYCL's adapter for Intel's GPUs; its adapter for OpenCL is inside the loader
keep intel_cmplr_lib_ur libur_adapter_level_zero.so.0 libur_adapter_level_zero_v2.so.0
# - TBB's allocator, as SYCL is slower without it
keep tbb libtbbmalloc.so.2
# - OpenCL on the CPU, its settings, and the built-in functions for each type of CPU as bitcode,
#   as objects for its own linker and as libraries. It opens the ones for the CPU it runs on, and
#   offers no device if one is missing.
keep intel_opencl_rt 'libintelocl.so.*' cl.cfg 'clbltfn*.rtl' cllibrary.rtl 'cllibrary??.o' \
    'libocl_svml_??.so'

# The wheel's own .icd files are of no use: they name a directory of the machine that packed the
# wheel, and the FPGA emulator's names a library that is in no wheel.
etc=$out/runtime/etc
mkdir -p "$etc/OpenCL/vendors" "$etc/ld.so.conf.d"
find "$lib" -type f -name 'libintelocl.so.*' -printf '/opt/intel/oneapi/lib/%f\n' \
    >"$etc/OpenCL/vendors/intel-cpu.icd"
echo /opt/intel/oneapi/lib >"$etc/ld.so.conf.d/oneapi.conf"
