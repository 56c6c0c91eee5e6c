package vmaf

import "strings"

// Series is a sequence of per-frame scores that a feature computes.
type Series struct {
	// Name is the name in the output of the vmaf program.
	Name string
	// ID is the name in libvmaf's API.
	ID string
}

// Features maps libvmaf's feature extractors to the series that each computes. libvmaf has
// no function that lists them; TestFeatures checks this list against the library.
var Features = map[string][]Series{
	"adm": append(series("integer_$", "VMAF_integer_feature_$_score", "adm2", "aim", "adm3"),
		series("integer_$", "integer_$", "adm_scale0", "adm_scale1", "adm_scale2",
			"adm_scale3")...),
	"cambi": series("$", "Cambi_feature_$_score", "cambi"),
	"ciede": series("$", "$", "ciede2000"),
	"float_adm": series("$", "VMAF_feature_$_score",
		"adm2", "aim", "adm3", "adm_scale0", "adm_scale1", "adm_scale2", "adm_scale3"),
	"float_ansnr": series("$", "$", "float_ansnr", "float_anpsnr"),
	"float_moment": series("float_moment_$", "float_moment_$", "ref1st", "dis1st", "ref2nd",
		"dis2nd"),
	"float_motion":  series("$", "VMAF_feature_$_score", "motion", "motion2", "motion3"),
	"float_ms_ssim": series("$", "$", "float_ms_ssim"),
	"float_psnr":    series("$", "$", "float_psnr"),
	"float_ssim":    series("$", "$", "float_ssim"),
	"float_vif": series("$", "VMAF_feature_$_score", "vif_scale0", "vif_scale1", "vif_scale2",
		"vif_scale3"),
	"motion":   series("integer_$", "VMAF_integer_feature_$_score", "motion2", "motion3"),
	"psnr":     series("$", "$", "psnr_y", "psnr_cb", "psnr_cr"),
	"psnr_hvs": series("$", "$", "psnr_hvs_y", "psnr_hvs_cb", "psnr_hvs_cr", "psnr_hvs"),
	"speed_chroma": series("$", "Speed_chroma_feature_$_score", "speed_chroma_u",
		"speed_chroma_v", "speed_chroma_uv"),
	"speed_temporal": series("$", "Speed_temporal_feature_$_score", "speed_temporal"),
	"vif": series("integer_$", "VMAF_integer_feature_$_score",
		"vif_scale0", "vif_scale1", "vif_scale2", "vif_scale3"),
}

// series returns the series of a feature. In name and id, $ is replaced by each of scores.
func series(name, id string, scores ...string) []Series {
	var list []Series
	for _, s := range scores {
		list = append(list,
			Series{Name: strings.Replace(name, "$", s, 1), ID: strings.Replace(id, "$", s, 1)})
	}
	return list
}

// builtIn lists the models that libvmaf can have built in. Which of them it has depends on
// its build options, and it has no function that lists them.
var builtIn = []string{
	"vmaf_v0.6.1", "vmaf_v0.6.1neg", "vmaf_4k_v0.6.1", "vmaf_4k_v0.6.1neg", "vmaf_b_v0.6.3",
	"vmaf_float_v0.6.1", "vmaf_float_v0.6.1neg", "vmaf_float_4k_v0.6.1", "vmaf_float_b_v0.6.3",
	"vmaf_v1.0.16_3d0h", "vmaf_v1.0.16_3d0h_2160", "vmaf_v1.0.16_5d0h", "vmaf_v1.0.16_1d5h_2160",
	"vmaf_v1.0.16_hfr_3d0h", "vmaf_v1.0.16_hfr_3d0h_2160",
	"vmaf_v1.0.16_hfr_5d0h", "vmaf_v1.0.16_hfr_1d5h_2160",
}

// BuiltIn returns the names of the models that are built into this libvmaf.
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
