package vmaf

// Features are libvmaf's extractors and the series each gives. The library has
// no call that lists them; a test holds this list to it.
var Features = map[string][]string{
	"adm": {"integer_adm2", "integer_aim", "integer_adm3",
		"integer_adm_scale0", "integer_adm_scale1", "integer_adm_scale2", "integer_adm_scale3"},
	"cambi":          {"cambi"},
	"ciede":          {"ciede2000"},
	"float_adm":      {"adm2", "aim", "adm3", "adm_scale0", "adm_scale1", "adm_scale2", "adm_scale3"},
	"float_ansnr":    {"float_ansnr", "float_anpsnr"},
	"float_moment":   {"float_moment_ref1st", "float_moment_dis1st", "float_moment_ref2nd", "float_moment_dis2nd"},
	"float_motion":   {"motion", "motion2", "motion3"},
	"float_ms_ssim":  {"float_ms_ssim"},
	"float_psnr":     {"float_psnr"},
	"float_ssim":     {"float_ssim"},
	"float_vif":      {"vif_scale0", "vif_scale1", "vif_scale2", "vif_scale3"},
	"motion":         {"integer_motion2", "integer_motion3"},
	"psnr":           {"psnr_y", "psnr_cb", "psnr_cr"},
	"psnr_hvs":       {"psnr_hvs_y", "psnr_hvs_cb", "psnr_hvs_cr", "psnr_hvs"},
	"speed_chroma":   {"speed_chroma_u", "speed_chroma_v", "speed_chroma_uv"},
	"speed_temporal": {"speed_temporal"},
	"vif":            {"integer_vif_scale0", "integer_vif_scale1", "integer_vif_scale2", "integer_vif_scale3"},
}

// builtIn are the models that a libvmaf may have; which it has depends on how it
// was built, and it has no call that lists them either.
var builtIn = []string{
	"vmaf_v0.6.1", "vmaf_v0.6.1neg", "vmaf_4k_v0.6.1", "vmaf_4k_v0.6.1neg", "vmaf_b_v0.6.3",
	"vmaf_float_v0.6.1", "vmaf_float_v0.6.1neg", "vmaf_float_4k_v0.6.1", "vmaf_float_b_v0.6.3",
	"vmaf_v1.0.16_3d0h", "vmaf_v1.0.16_3d0h_2160", "vmaf_v1.0.16_5d0h", "vmaf_v1.0.16_1d5h_2160",
	"vmaf_v1.0.16_hfr_3d0h", "vmaf_v1.0.16_hfr_3d0h_2160", "vmaf_v1.0.16_hfr_5d0h", "vmaf_v1.0.16_hfr_1d5h_2160",
}

// BuiltIn returns those of libvmaf's own models that load.
func BuiltIn() []string {
	var names []string
	for _, name := range builtIn {
		if m, err := LoadBuiltIn(name, name); err == nil {
			m.Close()
			names = append(names, name)
		}
	}
	return names
}
