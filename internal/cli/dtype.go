package cli

import "github.com/gomlx/compute/dtypes"

// parseDType reads the flag -dtype; 0 is the checkpoint's.
func parseDType(name string) (dtypes.DType, error) {
	switch name {
	case "auto", "":
		return 0, nil
	case "f32", "float32":
		return dtypes.Float32, nil
	case "bf16", "bfloat16":
		return dtypes.BFloat16, nil
	}
	return 0, Usagef("-dtype %q, wanted auto, f32 or bf16", name)
}

// SetDType makes models that are loaded from now on compute in a type, named as by the flag
// -dtype. If it changes, all models are freed, and their policies must no longer be used.
func (l *Loader) SetDType(name string) error {
	dtype, err := parseDType(name)
	if err != nil || dtype == l.dtype {
		return err
	}
	for dir, m := range l.models {
		m.Close()
		delete(l.models, dir)
	}
	for _, m := range l.rms {
		m.Close()
	}
	l.rms = nil
	l.dtype = dtype
	return nil
}
