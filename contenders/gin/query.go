package main

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin/binding"
	"github.com/go-playground/validator/v10"
)

// listQuery holds the parameters of GET /products; nil means absent.
type listQuery struct {
	Category *string  `form:"category"  binding:"omitnil,min=1,max=40"`
	MinPrice integer  `form:"min_price" binding:"min=0,max=10000000"`
	MaxPrice *integer `form:"max_price" binding:"omitnil,min=0,max=10000000"`
	Text     *string  `form:"q"         binding:"omitnil,min=1,max=40"`
	Sort     string   `form:"sort"      binding:"oneof=price rating name"`
	Limit    integer  `form:"limit"     binding:"min=1,max=50"`
}

// newListQuery sets the defaults. In the form tags they would also replace an empty value, which is an error here.
func newListQuery() listQuery {
	return listQuery{Sort: "name", Limit: 20}
}

// integer is an optional minus sign and digits.
type integer int

var _ binding.BindUnmarshaler = (*integer)(nil)

// notInteger is outside of every range that a binding tag allows.
const notInteger integer = math.MinInt

// UnmarshalParam leaves the report to the validator, which lists all bad parameters: an error here would end the
// binding at the first one.
func (i *integer) UnmarshalParam(param string) error {
	n, err := strconv.Atoi(param)
	// Atoi takes a plus sign, the API does not.
	if err != nil || strings.HasPrefix(param, "+") {
		*i = notInteger
		return nil
	}
	*i = integer(n)
	return nil
}

func registerValidation() {
	v, ok := binding.Validator.Engine().(*validator.Validate)
	if !ok {
		panic("gin's validator is not go-playground/validator")
	}
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return f.Tag.Get("form") })
	v.RegisterStructValidation(validatePriceRange, listQuery{})
}

// validatePriceRange compares good bounds only; bad ones are reported by their own tags.
func validatePriceRange(sl validator.StructLevel) {
	q := sl.Current().Interface().(listQuery)
	if q.MaxPrice == nil || *q.MaxPrice < 0 || q.MinPrice > 10_000_000 {
		return
	}
	if q.MinPrice > *q.MaxPrice {
		sl.ReportError(q.MinPrice, "min_price", "MinPrice", "ltefield", "max_price")
	}
}

type paramError struct {
	Parameter string `json:"parameter"`
	Detail    string `json:"detail"`
}

func paramErrors(invalid validator.ValidationErrors) []paramError {
	list := make([]paramError, 0, len(invalid))
	for _, e := range invalid {
		list = append(list, paramError{Parameter: e.Field(), Detail: detail(e)})
	}
	return list
}

func detail(e validator.FieldError) string {
	isText := e.Kind() == reflect.String
	switch tag := e.Tag(); {
	case tag == "min" && isText:
		return "must not be empty"
	case tag == "max" && isText:
		return fmt.Sprintf("must have at most %s characters", e.Param())
	case tag == "min":
		return "must be an integer of at least " + e.Param()
	case tag == "max":
		return "must be an integer of at most " + e.Param()
	case tag == "oneof":
		return "must be one of: " + e.Param()
	case tag == "ltefield":
		return "must not be greater than " + e.Param()
	default:
		return "is not valid"
	}
}
