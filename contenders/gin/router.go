package main

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-playground/validator/v10"
)

// problem is an RFC 9457 problem.
type problem struct {
	Status int          `json:"status"`
	Title  string       `json:"title"`
	Errors []paramError `json:"errors"`
}

func newRouter(products catalogue) *gin.Engine {
	registerValidation()

	router := gin.New()
	router.Use(gin.Recovery())
	router.GET("/healthz", health)
	router.GET("/products", listProducts(products))
	return router
}

func health(c *gin.Context) {
	c.String(http.StatusOK, "ok")
}

func listProducts(products catalogue) gin.HandlerFunc {
	return func(c *gin.Context) {
		query := newListQuery()
		if err := c.ShouldBindQuery(&query); err != nil {
			badRequest(c, err)
			return
		}
		c.JSON(http.StatusOK, products.search(query))
	}
}

func badRequest(c *gin.Context, err error) {
	var invalid validator.ValidationErrors
	if !errors.As(err, &invalid) {
		_ = c.AbortWithError(http.StatusInternalServerError, err)
		return
	}
	c.Header("Content-Type", "application/problem+json")
	c.JSON(http.StatusBadRequest, problem{
		Status: http.StatusBadRequest,
		Title:  "Invalid query parameters",
		Errors: paramErrors(invalid),
	})
}
