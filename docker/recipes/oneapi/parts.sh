# shellcheck shell=sh disable=SC2154
# Sourced: which files of oneAPI an image takes, for a `keep WHEEL FILE...` that
# puts them into its $lib, and what makes them found there.

# Found by ELF from the SYCL runtime and the OpenCL device.
keep intel_sycl_rt 'libsycl.so.?'
keep intel_cmplr_lib_ur libur_loader.so.0
keep intel_cmplr_lib_rt libsvml.so libirng.so libimf.so libintlc.so.5
keep umf libumf.so.1
keep tcmlib libhwloc.so.15
keep tbb libtbb.so.12
keep intel_opencl_rt 'libcommon_clang.so.*'
# Opened by name at run time:
# - how SYCL reaches Intel's GPUs; its way to OpenCL is inside the loader
keep intel_cmplr_lib_ur libur_adapter_level_zero.so.0 libur_adapter_level_zero_v2.so.0
# - TBB's allocator, slower without
keep tbb libtbbmalloc.so.2
# - OpenCL on the CPU, its settings, and the built-in functions for each kind of
#   CPU, as bitcode, as objects for its own linker, as libraries: it opens those
#   of the machine it finds itself on, and offers no device where one is missing
keep intel_opencl_rt 'libintelocl.so.*' cl.cfg 'clbltfn*.rtl' cllibrary.rtl 'cllibrary??.o' 'libocl_svml_??.so'

# The wheel's own .icd files name a folder of the packer's machine; that of the
# FPGA emulator names a library that is in no wheel.
mkdir -p /out/runtime/etc/OpenCL/vendors /out/runtime/etc/ld.so.conf.d
find "$lib" -type f -name 'libintelocl.so.*' -printf '/opt/intel/oneapi/lib/%f\n' >/out/runtime/etc/OpenCL/vendors/intel-cpu.icd
echo /opt/intel/oneapi/lib >/out/runtime/etc/ld.so.conf.d/oneapi.conf
